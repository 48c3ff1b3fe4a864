"""`lineage`: whether the folder has every table that an execution of a stage is said to have written."""

import json
import shlex
from collections import Counter

TRAINING = ("dataset", "run", "seed")


def verify(store, report, progress):
    if not store.has("lineage"):
        report.note("there is no lineage, so what tables should be there is not known")
        return
    progress("lineage")
    lineage = store.read("lineage")
    # A node's last execution is the one that its files are of.
    done = lineage.drop_duplicates("node", keep="last").query("status == 'done'")
    first, counts = {}, Counter()
    for execution in done.itertuples():
        for table, keys in written(execution.stage, flags(execution.command)):
            if not store.has(table, **keys):
                first.setdefault(table, (execution.node, keys))
                counts[table] += 1
    for table, (node, keys) in first.items():
        place = "/".join(f"{key}={value}" for key, value in keys.items())
        report.fail(f"{table}: {counts[table]} files that were written are not there, the first of `{node}`: {place}")


def flags(command):
    """The flags of a command, each with all its values."""
    words = iter(shlex.split(command)[1:])
    values = {}
    for word in words:
        flag, separator, value = word.partition("=")
        values.setdefault(flag.removeprefix("--"), []).append(value if separator else next(words, ""))
    return values


def written(stage, values):
    """The tables that a stage with these flags writes, each with its keys."""
    if stage == "correlate":
        return of_study(values)
    keys = {key: values[key][0] for key in TRAINING if key in values}
    keys |= {"seed": int(keys["seed"])} if "seed" in keys else {}
    if stage == "prep":
        splits = [("corpus", {**keys, "split": split}) for split in ("train", "val")]
        return [*splits, ("vocabulary", keys), ("semantic_space", keys)]
    if stage == "train":
        tables = ["training_log", "evaluations", "optimizer", *asked(values, tracking=["tracking"])]
        return of_training(keys, tables, "checkpoints", values["checkpoint-steps"][0], stage)
    if stage == "snapshot":
        return of_training(keys, ["windows", "head_outputs"], "attention", values["steps"][0])
    if stage == "metrics":
        similarity = asked(values, **{"layer-similarity": ["layer_similarity"]})
        return of_training(keys, ["head_metrics", "layer_metrics", "baselines", *similarity])
    if stage == "generate":
        optional = asked(values, score=["sample_scores"], track=["sample_attention", "sample_layers"])
        return of_training(keys, ["samples", *optional], stage=stage)
    return []


def asked(values, **tables):
    """The tables of those flags that are true."""
    return [table for flag, names in tables.items() if values.get(flag) == ["true"] for table in names]


def of_training(keys, tables, of_step=None, steps="", stage=None):
    files = [(table, keys) for table in tables]
    files += [(of_step, {**keys, "step": step}) for step in steps_of(steps)] if of_step else []
    return [*files, ("timings", {**keys, "stage": stage})] if stage else files


def of_study(values):
    study = json.loads(values["study"][0])
    files = [("results", {})]
    for dataset in (dataset["name"] for dataset in study["datasets"]):
        files.append(("findings", {"dataset": dataset}))
        for run in study["runs"]:
            parts = set(run["parts"])
            tables = ["correlations"] if parts & {"snapshots", "quality"} else []
            tables += ["onsets", "head_matches"] if "snapshots" in parts else []
            files += [(table, {"dataset": dataset, "run": run["name"]}) for table in tables]
    return files


def steps_of(text):
    """`0,50,100-2000/100` is 0, 50 and every hundredth from 100 to 2000; `1-512*2` is 1, 2, 4 and so on up to 512."""
    steps = set()
    for part in text.split(","):
        first, _, rest = part.partition("-")
        if "*" in rest:
            last, factor = map(int, rest.split("*"))
            step = int(first)
            while step <= last:
                steps.add(step)
                step *= factor
        elif rest:
            last, _, every = rest.partition("/")
            steps.update(range(int(first), int(last) + 1, int(every or 1)))
        else:
            steps.add(int(first))
    return sorted(steps)
