"""The contract, independent of the crate `schemas`: tables, keys, columns, types, nullability and keys of the footer."""

TRAINING = ["dataset", "run", "seed"]
# Attention metrics, in the order of their columns.
HEAD_MEASURES = ["entropy_nats", "normalized_entropy", "mean_distance", "span_90", "local_mass_3", "first_token_mass"]
HEAD_MEASURES += ["self_mass", "previous_token_score", "duplicate_token_score", "induction_score"]
# Metrics that are nearly redundant: heads are matched by the others.
REDUNDANT = ["normalized_entropy", "span_90", "local_mass_3"]
LAYER_MEASURES = ["head_variance", "head_js_divergence", "dominant_head_share"]
PAIR_MEASURES = ["js_divergence", "js_similarity", "cosine_similarity", "centered_cosine_similarity"]
SCORES = [f"distinct_{n}" for n in (1, 2, 3, 4, 8)] + [f"repetition_{n}" for n in (4, 8, 16)]
SCORES += ["coherence", "compression_ratio", "novelty_16", "word_validity", "quality"]


def float64(*names):
    return {name: "float64" for name in names}


def optional(columns):
    return {name: f"{kind}?" for name, kind in columns.items()}


def of_seeds(*names):
    """Columns of means over seeds, each followed by its standard error."""
    parts = {"mean": "float64", "stderr": "float64?"}
    return {f"{name}_{part}": kind for name in names for part, kind in parts.items()}


def measured(names, nullable=(), without_stderr=()):
    """Columns of measures, each followed by its standard error over probe windows."""
    columns = {}
    for name in names:
        columns[name] = "float64?" if name in nullable else "float64"
        if name not in without_stderr:
            columns[f"{name}_stderr"] = "float64?"
    return columns


# table: (stages that write it, keys, columns). A type that ends in `?` may be null.
TABLES = {
    "corpus": (["prep"], ["dataset", "split"], {"token": "uint16"}),
    "vocabulary": (
        ["prep"],
        ["dataset"],
        {
            **{"token": "uint16", "symbol": "string", "bytes": "binary"},
            **{"code_point": "uint32?", "train_count": "uint64"},
        },
    ),
    "text_notes": (
        ["prep"],
        ["dataset"],
        {"note": "string", "count": "uint64", "share": "float64?", "message": "string"},
    ),
    "semantic_space": (["prep"], ["dataset"], {"word": "string", "idf": "float64", "loadings": "list<float64>"}),
    "training_log": (["train", "import"], TRAINING, {"step": "uint32", **float64("loss", "learning_rate", "grad_norm")}),
    "evaluations": (
        ["train", "import"],
        TRAINING,
        {
            "step": "uint32",
            **float64("train_loss", "val_loss", "train_loss_stderr", "val_loss_stderr", "val_bits_per_char"),
            "learning_rate": "float64",
        },
    ),
    "split_losses": (
        ["evaluate"],
        TRAINING,
        {
            **{"step": "uint32", "split": "string", "window": "uint32", "stride": "uint32"},
            **{"tokens": "uint64", "bytes": "uint64", **float64("loss_nats", "bits_per_symbol", "bits_per_byte")},
        },
    ),
    "timings": (
        ["train", "import", "generate"],
        [*TRAINING, "stage"],
        {"activity": "string", "step": "uint32", "sample": "uint16?", "wall_secs": "float64", "characters": "uint64"},
    ),
    "tracking": (
        ["train", "import"],
        TRAINING,
        {
            **{"step": "uint32", "layer": "uint16", "head": "uint16"},
            **float64("entropy_nats", "normalized_entropy", "mean_distance", "first_token_mass"),
        },
    ),
    "checkpoints": (
        ["train", "import"],
        [*TRAINING, "step"],
        {"tensor": "string", "shape": "list<uint32>", "values": "list<float32>"},
    ),
    "optimizer": (
        ["train"],
        TRAINING,
        {
            **{"step": "uint32", "tensor": "string", "moment": "string"},
            **{"shape": "list<uint32>", "values": "list<float32>"},
        },
    ),
    "attention": (
        ["snapshot"],
        [*TRAINING, "step"],
        {"window": "uint16", "layer": "uint16", "head": "uint16", "query": "uint16", "weights": "list<float32>"},
    ),
    "windows": (
        ["snapshot"],
        TRAINING,
        {"window": "uint16", "kind": "string", "start": "uint32", "tokens": "list<uint16>", "text": "string"},
    ),
    "head_outputs": (
        ["snapshot"],
        TRAINING,
        {"step": "uint32", "layer": "uint16", "head": "uint16", "output_norm": "float64"},
    ),
    "head_metrics": (
        ["metrics"],
        TRAINING,
        {
            **{"step": "uint32", "layer": "uint16", "head": "uint16"},
            **measured(HEAD_MEASURES, nullable=["induction_score"]),
            "queries": "uint64",
        },
    ),
    "layer_metrics": (
        ["metrics"],
        TRAINING,
        {
            **{"step": "uint32", "layer": "uint16"},
            # `dominant_head_share` is computed from output norms, which are means over windows.
            **measured(LAYER_MEASURES, without_stderr=["dominant_head_share"]),
        },
    ),
    "layer_similarity": (
        ["metrics"],
        TRAINING,
        {
            **{"step": "uint32", "layer_a": "uint16", "layer_b": "uint16"},
            **measured(PAIR_MEASURES),
        },
    ),
    "baselines": (["metrics"], TRAINING, {"metric": "string", "value": "float64"}),
    "attended_characters": (
        ["metrics"],
        TRAINING,
        {
            **{"step": "uint32", "layer": "uint16", "head": "uint16", "token": "uint16"},
            **float64("share", "uniform_share"),
        },
    ),
    "samples": (
        ["generate"],
        TRAINING,
        {
            **{"step": "uint32", "sample": "uint16", "prompt": "string", "prompt_tokens": "list<uint16>"},
            **{"text": "string", "tokens": "list<uint16>"},
            **{"temperature": "float64", "top_k": "uint32", "context_policy": "string"},
        },
    ),
    "sample_attention": (
        ["generate"],
        TRAINING,
        {
            **{"step": "uint32", "source": "string", "sample": "uint16", "layer": "uint16", "head": "uint16"},
            **float64("entropy_nats", "normalized_entropy", "mean_distance", "first_token_mass", "output_norm"),
        },
    ),
    "generated_attention": (
        ["generate"],
        TRAINING,
        {
            **{"step": "uint32", "sample": "uint16", "position": "uint32", "layer": "uint16", "head": "uint16"},
            "weights": "list<float32>",
        },
    ),
    "sample_layers": (
        ["generate"],
        TRAINING,
        {
            **{"step": "uint32", "sample": "uint16", "layer_a": "uint16", "layer_b": "uint16"},
            **float64("js_divergence"),
        },
    ),
    "sample_scores": (
        ["generate"],
        TRAINING,
        {"step": "uint32?", "source": "string", "sample": "uint16", **optional(float64(*SCORES))},
    ),
    "correlations": (
        ["correlate"],
        ["dataset", "run"],
        {
            **{"scope": "string", "x": "string", "layer": "uint16?", "y": "string", "n": "uint32", "seeds": "uint32"},
            **optional(float64("pearson", "spearman", "spearman_low", "spearman_high", "partial_spearman")),
            **optional(float64("p_value", "q_value")),
            "reason": "string?",
        },
    ),
    "onsets": (
        ["correlate"],
        ["dataset", "run"],
        {
            **{"event": "string", "metric": "string", "layer": "uint16?", **optional(float64("value", "low", "high"))},
            **{"n": "uint32", "seeds": "uint32", "in_seeds": "list<uint64>"},
            **{"steps": "list<uint32>", "steps_before": "list<uint32>"},
            **{**optional(float64("change", "explained")), "rank": "uint32?", "reason": "string?"},
        },
    ),
    "head_matches": (
        ["correlate"],
        ["dataset", "run"],
        {
            **{"seed": "uint64", "layer": "uint16", "head": "uint16", "slot": "uint16"},
            **optional(float64("distance", "random_distance", "chance_distance", "p_value")),
        },
    ),
    "findings": (
        ["correlate"],
        ["dataset"],
        {
            **{"run": "string", "claim": "string", "statement": "string", "statistic": "string"},
            **optional(float64("value", "low", "high", "bootstrap_low", "bootstrap_high")),
            **optional(float64("threshold_low", "threshold_high", "p_value", "p_adjusted")),
            **{"verdict": "string", "reason": "string"},
            **{"detectable": "float64?", "seeds_needed": "uint32?", "sensitivity": "string?", "n": "uint32"},
        },
    ),
    "results": (
        ["correlate"],
        [],
        {
            **{"dataset": "string", "run": "string", "label": "string", "training_of": "string", "seeds": "uint32"},
            **of_seeds("final_train_loss", "best_val_loss"),
            "best_val_loss_steps": "list<uint32>",
            **optional(float64(*(f"split_{split}_loss_{part}" for split in ("val", "test") for part in ("mean", "stderr")))),
            **of_seeds("total_train_time_secs", "inference_tokens_per_sec"),
        },
    ),
    "lineage": (
        ["driver"],
        [],
        {
            **{"node": "string", "stage": "string", "command": "string", "fingerprint": "string", "status": "string"},
            **{"wall_secs": "float64", "peak_rss_bytes": "uint64?", "started_at_secs": "float64"},
        },
    ),
}
FOOTER = ["schema.name", "schema.version", "producer", "config", "partition", "inputs", "columns", "crc32"]
EXTRA_FOOTER = {"correlations": ["family_size"], "findings": ["family_size"]}
# A table's content does not depend on these parameters, so no footer may have them. (`data` is the folder of downloads.)
AMBIENT = {"artifacts", "data", "device", "quiet", "threads"}
