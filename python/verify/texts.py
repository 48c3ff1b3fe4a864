"""Texts: symbols, words, segments, n-grams; and the scores of a text."""

import codecs
import itertools
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

SEGMENT = 100
VALIDATION_WINDOWS = 200
MEMBERS = ["distinct_4", "repetition_8", "coherence", "compression_ratio", "word_validity"]
SCORES = [f"distinct_{n}" for n in (1, 2, 3, 4, 8)] + [f"repetition_{n}" for n in (4, 8, 16)]
SCORES += ["coherence", "compression_ratio", "novelty_16", "word_validity"]


@dataclass(frozen=True)
class Text:
    """A text: its tokens as a string with a character each, its bytes, and these as text (U+FFFD for invalid UTF-8)."""

    tokens: str
    raw: bytes
    text: str

    @classmethod
    def of(cls, text):
        """A text whose tokens are its characters."""
        return cls(text, text.encode(), text)


class Symbols:
    """A vocabulary: a token is a string of bytes, and a text is the bytes of its tokens."""

    def __init__(self, vocabulary):
        self.symbols = list(vocabulary["bytes"])
        single = all(len(symbol) == 1 for symbol in self.symbols)
        self.bytes = np.frombuffer(b"".join(self.symbols), dtype=np.uint8) if single else None

    def __len__(self):
        return len(self.symbols)

    def raw(self, tokens):
        if self.bytes is not None:
            return self.bytes[tokens].tobytes()
        return b"".join(self.symbols[token] for token in tokens)

    def text(self, tokens):
        return self.raw(tokens).decode("utf-8", "replace")

    def read(self, tokens):
        raw = self.raw(tokens)
        codes = np.asarray(tokens, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
        return Text(codes, raw, raw.decode("utf-8", "replace"))

    def read_parts(self, parts):
        """Consecutive parts of a text, which may part a character."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for tokens in parts:
            part = self.read(tokens)
            yield Text(part.tokens, part.raw, decoder.decode(part.raw))
        yield Text("", b"", decoder.decode(b"", True))


def validation_windows(split, length):
    """200 windows evenly spaced from the split's start to its end; fewer and shorter ones if it is too short."""
    length = min(length, len(split))
    last = len(split) - length
    count = min(VALIDATION_WINDOWS, last + 1)
    return [split[at * last // max(count - 1, 1) :][:length] for at in range(count)]


def runs_of_letters(text):
    """The maximal runs of letters (Unicode's L*)."""
    other = {ord(symbol): " " for symbol in set(text) if not symbol.isalpha()}
    return text.translate(other).split()


def words(text, least=1):
    """The runs of at least `least` letters, in lower case."""
    return [run.lower() for run in runs_of_letters(text) if len(run) >= least]


def counted_words(text):
    return Counter(words(text))


def segments(text):
    """The text in 100-character segments, a last one under 50 dropped."""
    whole = [text[start : start + SEGMENT] for start in range(0, len(text), SEGMENT)]
    return whole if not whole or len(whole[-1]) >= SEGMENT // 2 else whole[:-1]


def grams(text, n):
    return [text[start : start + n] for start in range(len(text) - n + 1)]


def distinct(text, n):
    """Distinct n-grams over n-grams."""
    found = grams(text, n)
    return len(set(found)) / len(found) if found else np.nan


def repetition(text, n):
    """The share of n-gram occurrences whose n-gram occurs more than once."""
    counts = Counter(grams(text, n))
    return sum(count for count in counts.values() if count > 1) / counts.total() if counts else np.nan


class SemanticSpace:
    """The latent semantic space of `coherence`, as stored."""

    def __init__(self, frame):
        self.index = {word: row for row, word in enumerate(frame["word"])}
        self.idf = frame["idf"].to_numpy()
        self.loadings = np.stack(frame["loadings"].to_list()) if len(frame) else np.zeros((0, 1))

    def vector(self, segment):
        """The segment's TF-IDF vector, normalized and projected; 0 if no word is in the space."""
        known = {self.index[word]: count for word, count in counted_words(segment).items() if word in self.index}
        at = np.array(list(known), dtype=int)
        weights = (1 + np.log(np.array(list(known.values()), dtype=float))) * self.idf[at]
        length = np.linalg.norm(weights)
        return weights / length @ self.loadings[at] if length else np.zeros(self.loadings.shape[1])

    def coherence(self, text):
        """The mean cosine of adjacent segments, a pair with an empty vector counting 0; null under two segments."""
        vectors = [self.vector(segment) for segment in segments(text)]
        cosines = []
        for p, q in itertools.pairwise(vectors):
            norms = np.linalg.norm(p) * np.linalg.norm(q)
            cosines.append(np.clip(p @ q / norms, -1.0, 1.0) if norms else 0.0)
        return np.mean(cosines) if cosines else np.nan


class Known:
    """The words of the train split, and which of the given texts' 16-grams occur in it."""

    def __init__(self, parts, texts):
        """`parts` are consecutive pieces of the split. 16-grams and words across pieces count too."""
        sought = {gram for text in texts for gram in grams(text.tokens, 16)}
        self.grams, self.words, rest, open_word = set(), set(), "", ""
        for part in parts:
            joined = rest + part.tokens
            self.grams |= sought.intersection(grams(joined, 16))
            rest = joined[-15:]
            # A word at the end of a piece may continue in the next one.
            spoken = open_word + part.text
            end = len(spoken)
            while end and spoken[end - 1].isalpha():
                end -= 1
            self.words.update(words(spoken[:end]))
            open_word = spoken[end:]
        self.words.update(words(open_word))

    def novelty(self, text):
        """The share of 16-grams that do not occur in the train split."""
        found = grams(text.tokens, 16)
        return sum(gram not in self.grams for gram in found) / len(found) if found else np.nan

    def word_validity(self, text):
        """The share of words of at least two letters that occur in the train split."""
        found = words(text.text, least=2)
        return sum(word in self.words for word in found) / len(found) if found else np.nan


def scores(text, known, space):
    """All columns of `sample_scores` except `quality`, which needs the scores of real text."""
    result = {f"distinct_{n}": distinct(text.tokens, n) for n in (1, 2, 3, 4, 8)}
    result |= {f"repetition_{n}": repetition(text.tokens, n) for n in (4, 8, 16)}
    result["coherence"] = space.coherence(text.text)
    result["compression_ratio"] = len(text.raw) / len(zlib.compress(text.raw, 9)) if text.raw else np.nan
    result["novelty_16"] = known.novelty(text)
    result["word_validity"] = known.word_validity(text)
    return result


def quality(frame):
    """−mean_m abs(z_m) of each row, where `z_m` is the z-score of score `m` relative to the `validation` texts (ddof 1).
    Scores that are null or have a standard deviation of 0 are left out."""
    real = frame[frame["source"] == "validation"]
    distances = []
    for member in MEMBERS:
        values = real[member].dropna().to_numpy(dtype=np.float64)
        deviation = values.std(ddof=1) if len(values) > 1 else 0.0
        # Rounding gives equal values a tiny deviation.
        if deviation > 1e-12 * np.abs(values).max(initial=0.0):
            distances.append(((frame[member] - values.mean()) / deviation).abs())
    return -pd.concat(distances, axis=1).mean(axis=1) if distances else np.full(len(frame), np.nan)
