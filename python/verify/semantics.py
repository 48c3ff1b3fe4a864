"""The latent semantic space of a dataset, from its corpus."""

import itertools
from collections import Counter

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from .report import FLOAT64, Tolerance
from .texts import Symbols, counted_words, segments

DIMENSIONS = 64
MOST_SEGMENTS = MOST_WORDS = 20_000
# A symbol that occurs less often in the train split is noted as rare, if so large a share of them is.
RARE, MANY_RARE = 10, 0.1
# A residual of 1e-8 moves a singular vector by 1e-8 over the gap to the next singular values.
LOADINGS = Tolerance(1e-6)
# Singular values closer than this (relative to the largest) determine only the subspace of their vectors.
SAME = 1e-6


def verify(store, report, progress):
    for keys in store.partitions("semantic_space"):
        progress(f"semantic space of {keys['dataset']}")
        vocabulary = store.read("vocabulary", **keys)
        symbols = Symbols(vocabulary)
        train = store.read("corpus", **keys, split="train")["token"].to_numpy()
        counts = np.bincount(train, minlength=len(symbols))
        where = f"dataset={keys['dataset']}"
        report.compare("vocabulary", "train_count", vocabulary["train_count"].to_numpy(), counts, Tolerance(), where)
        verify_notes(store, report, keys, symbols, counts)
        verify_space(report, store.read("semantic_space", **keys), pieces(symbols.text(train)), where)


def verify_notes(store, report, keys, symbols, train_counts):
    """The notes on symbols that the train split lacks, or has rarely: how many, and at which share of the positions."""
    expected = []
    for split in "val", "test":
        tokens = store.read("corpus", **keys, split=split)["token"].to_numpy()
        unseen = train_counts[tokens] == 0
        if unseen.any():
            expected.append(("unseen_symbols", len(np.unique(tokens[unseen])), unseen.mean()))
    rare = ((train_counts > 0) & (train_counts < RARE)).sum()
    if rare / len(symbols) >= MANY_RARE:
        expected.append(("rare_symbols", rare, rare / len(symbols)))
    notes = store.read("text_notes", **keys)
    notes = notes[notes["note"].isin(["unseen_symbols", "rare_symbols"])]
    kinds, counts, shares = zip(*expected) if expected else ((), (), ())
    where = f"dataset={keys['dataset']}"
    if list(notes["note"]) != list(kinds):
        report.fail(f"text_notes, {where}: {list(notes['note'])} stored, {list(kinds)} recomputed")
    elif expected:
        report.compare("text_notes", "count", notes["count"].to_numpy(), counts, Tolerance(), where)
        report.compare("text_notes", "share", notes["share"].to_numpy(), shares, FLOAT64, where)


def pieces(text):
    """The segments of a text, evenly spaced ones if there are too many."""
    found = segments(text)
    count = len(found)
    return found if count <= MOST_SEGMENTS else [found[i * count // MOST_SEGMENTS] for i in range(MOST_SEGMENTS)]


def verify_space(report, stored, texts, where):
    found = [counted_words(text) for text in texts]
    total, segments_with = Counter(), Counter()
    for words in found:
        total.update(words)
        segments_with.update(words.keys())
    order = sorted(total, key=lambda word: (-total[word], word))[:MOST_WORDS]
    if len(order) != len(stored):
        report.fail(f"semantic_space, {where}: {len(stored)} words stored, {len(order)} recomputed")
        return
    report.compare_equal("semantic_space", "word", stored["word"], order, where)
    idf = np.array([1 + np.log((1 + len(found)) / (1 + segments_with[word])) for word in order])
    report.compare("semantic_space", "idf", stored["idf"], idf, FLOAT64, where)
    if order:
        loadings(report, np.stack(stored["loadings"].to_list()), matrix(found, order, idf), where)


def matrix(found, order, idf):
    """Segments × words: `(1 + ln count) · idf`, rows of unit length."""
    index = {word: column for column, word in enumerate(order)}
    entries = [
        (row, index[word], (1 + np.log(count)) * idf[index[word]])
        for row, words in enumerate(found)
        for word, count in words.items()
        if word in index
    ]
    row, column, weight = (np.array(part) for part in zip(*entries))
    weights = sparse.csr_array((weight, (row, column)), shape=(len(found), len(order)))
    lengths = np.sqrt(weights.multiply(weights).sum(axis=1))
    return sparse.diags_array(1 / np.where(lengths > 0, lengths, 1.0)) @ weights


def right_singular_vectors(weights, count):
    """The leading singular values and right singular vectors (as columns), the largest first; by ARPACK if the matrix
    is large enough."""
    if min(weights.shape) <= 4 * count:
        _, values, vectors = np.linalg.svd(weights.toarray(), full_matrices=False)
    else:
        _, values, vectors = svds(weights, k=count, solver="arpack", random_state=0)
    order = np.argsort(-values)[:count]
    return values[order], vectors[order].T


def loadings(report, stored, weights, where):
    """Compares stored loadings [word, dimension] with the singular vectors. Equal singular values determine only a
    subspace, so such a group of vectors is first rotated onto the stored one."""
    values, vectors = right_singular_vectors(weights, DIMENSIONS + 8)
    rank = int((values > 1e-9 * values[0]).sum())
    dimensions = min(DIMENSIONS, rank)
    if stored.shape[1] != dimensions:
        report.fail(f"semantic_space.loadings, {where}: {stored.shape[1]} dimensions stored, {dimensions} recomputed")
        return
    cuts = [0, *(np.flatnonzero(-np.diff(values[:rank]) > SAME * values[0]) + 1), rank]
    for first, end in itertools.pairwise(cuts):
        if first >= dimensions:
            break
        if end > dimensions:
            report.note(f"semantic_space.loadings of {where}: {dimensions - first} dimensions are not determined")
            break
        group = vectors[:, first:end]
        if end - first == 1:
            # The largest loading is positive; which one that is, rounding decides where several are equal.
            largest = np.abs(group) >= (1 - SAME) * np.abs(group).max()
            oriented_by = group[np.abs(group).argmax(), 0] if largest.sum() == 1 else group[:, 0] @ stored[:, first]
            group = group * np.sign(oriented_by)
        else:
            left, _, right = np.linalg.svd(group.T @ stored[:, first:end])
            group = group @ left @ right
        group_name = f"{where} dimensions {first} to {end - 1}"
        report.compare("semantic_space", "loadings", stored[:, first:end], group, LOADINGS, group_name)
