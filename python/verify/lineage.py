"""`lineage`: whether the folder has every table that a recorded execution of a job wrote."""

import json
import shlex
from collections import Counter

TRAINING = ("dataset", "run", "seed")


def verify(store, report, progress):
    if not store.has("lineage"):
        report.note("there is no lineage, so it is unknown which tables should exist")
        return
    progress("lineage")
    lineage = store.read("lineage")
    # A job's files are those of its last execution.
    done = lineage.drop_duplicates("node", keep="last").query("status == 'done'")
    first, counts = {}, Counter()
    for execution in done.itertuples():
        for table, keys in written(execution.stage, flags(execution.command)):
            if not store.has(table, **keys):
                first.setdefault(table, (execution.node, keys))
                counts[table] += 1
    for table, (job, keys) in first.items():
        partition = "/".join(f"{key}={value}" for key, value in keys.items())
        report.fail(f"{table}: {counts[table]} files that were written are missing, the first of `{job}`: {partition}")


def flags(command):
    """The flags of a command, each with its values."""
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
        splits = [("corpus", {**keys, "split": split}) for split in ("train", "val", "test")]
        return [*splits, *((table, keys) for table in ("vocabulary", "text_notes", "semantic_space"))]
    if stage == "evaluate":
        return [("split_losses", keys)]
    if stage == "train":
        tables = ["training_log", "evaluations", "optimizer", *enabled(values, tracking=["tracking"])]
        return of_training(keys, tables, "checkpoints", values["checkpoint-steps"][0], stage)
    if stage == "snapshot":
        return of_training(keys, ["windows", "head_outputs"], "attention", values["steps"][0])
    if stage == "metrics":
        similarity = enabled(values, **{"layer-similarity": ["layer_similarity"]})
        return of_training(keys, ["head_metrics", "layer_metrics", "attended_characters", "baselines", *similarity])
    if stage == "generate":
        optional = enabled(values, score=["sample_scores"], track=["sample_attention", "generated_attention", "sample_layers"])
        return of_training(keys, ["samples", *optional], stage=stage)
    return []


def enabled(values, **tables):
    """The tables of the flags that are true."""
    return [table for flag, names in tables.items() if values.get(flag) == ["true"] for table in names]


def of_training(keys, tables, of_step=None, steps="", stage=None):
    files = [(table, keys) for table in tables]
    files += [(of_step, {**keys, "step": step}) for step in steps_of(steps)] if of_step else []
    return [*files, ("timings", {**keys, "stage": stage})] if stage else files


def of_study(values):
    files = [("results", {})]
    study = json.loads(values["study"][0])
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
