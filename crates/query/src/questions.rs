//! The questions as lazy queries. Means are over seeds too, within one run.

use polars::prelude::{JoinArgs, JoinType, LazyFrame, SortMultipleOptions, col, len, lit};

/// The rows of one dataset and run.
pub fn of(table: LazyFrame, dataset: &str, run: &str) -> LazyFrame {
    table.filter(col("dataset").eq(lit(dataset)).and(col("run").eq(lit(run))))
}

/// `head_metrics` to (step, layer, mean entropy in nats, mean normalized entropy): how focused each layer is.
pub fn entropy_by_layer(head_metrics: LazyFrame) -> LazyFrame {
    head_metrics
        .group_by([col("step"), col("layer")])
        .agg([col("entropy_nats").mean(), col("normalized_entropy").mean()])
        .sort(["step", "layer"], SortMultipleOptions::default())
}

/// `layer_similarity` to (step, layer_a, layer_b, mean similarity): how similar each pair of layers is.
pub fn similarity(layer_similarity: LazyFrame) -> LazyFrame {
    layer_similarity
        .group_by([col("step"), col("layer_a"), col("layer_b")])
        .agg([col("js_similarity").mean()])
        .sort(["step", "layer_a", "layer_b"], SortMultipleOptions::default())
}

/// `sample_scores` and `evaluations` to (step, source, texts, mean quality, validation loss): whether samples improve as
/// the loss falls. The references have neither step nor loss.
pub fn quality(sample_scores: LazyFrame, evaluations: LazyFrame) -> LazyFrame {
    let val_loss = evaluations.group_by([col("step")]).agg([col("val_loss").mean()]);
    sample_scores
        .group_by([col("step"), col("source")])
        .agg([len().alias("texts"), col("quality").mean()])
        .join(val_loss, [col("step")], [col("step")], JoinArgs::new(JoinType::Left))
        .sort(["step", "source"], SortMultipleOptions::default())
}

#[cfg(test)]
mod tests {
    use polars::df;
    use polars::prelude::{DataFrame, IntoLazy};

    use super::*;

    fn answer(query: LazyFrame) -> DataFrame {
        query.collect().unwrap()
    }

    #[test]
    fn one_dataset_and_run_are_selected() {
        let table = df!("dataset" => ["a", "a", "b"], "run" => ["r", "s", "r"], "value" => [1.0, 2.0, 3.0]).unwrap();
        let expected = df!("dataset" => ["a"], "run" => ["r"], "value" => [1.0]).unwrap();
        assert!(answer(of(table.lazy(), "a", "r")).equals(&expected));
    }

    #[test]
    fn entropy_is_averaged_over_heads_and_seeds() {
        let table = df!(
            "step" => [0u32, 100, 100, 100], "layer" => [1u32, 1, 0, 1],
            "entropy_nats" => [4.0, 1.0, 2.0, 3.0], "normalized_entropy" => [1.0, 0.25, 0.5, 0.75]
        );
        let expected = df!(
            "step" => [0u32, 100, 100], "layer" => [1u32, 0, 1],
            "entropy_nats" => [4.0, 2.0, 2.0], "normalized_entropy" => [1.0, 0.5, 0.5]
        );
        assert!(answer(entropy_by_layer(table.unwrap().lazy())).equals(&expected.unwrap()));
    }

    #[test]
    fn similarity_is_averaged_over_seeds() {
        let table = df!(
            "step" => [0u32, 0, 0], "layer_a" => [0u32, 0, 0], "layer_b" => [2u32, 1, 1], "js_similarity" => [0.5, 1.0, 0.0]
        );
        let expected = df!(
            "step" => [0u32, 0], "layer_a" => [0u32, 0], "layer_b" => [1u32, 2], "js_similarity" => [0.5, 0.5]
        );
        assert!(answer(similarity(table.unwrap().lazy())).equals(&expected.unwrap()));
    }

    #[test]
    fn references_have_quality_but_no_loss() {
        let scores = df!(
            "step" => [Some(50u32), Some(50), None], "source" => ["model", "model", "validation"],
            "quality" => [Some(-2.0), None, Some(-0.5)]
        );
        let evaluations = df!("step" => [50u32, 50, 100], "val_loss" => [2.0, 3.0, 9.0]).unwrap();
        let expected = df!(
            "step" => [None, Some(50u32)], "source" => ["validation", "model"], "texts" => [1u32, 2],
            "quality" => [-0.5, -2.0], "val_loss" => [None, Some(2.5)]
        );
        let found = answer(quality(scores.unwrap().lazy(), evaluations.lazy()));
        assert!(found.equals_missing(&expected.unwrap()), "{found:?}");
    }

    #[test]
    fn the_readme_shows_these_queries() {
        let code = include_str!("questions.rs");
        let shown =
            include_str!("../../../README.md").split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
        let lines: Vec<_> =
            shown.expect("a block of Rust").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(lines.len() > 10, "three questions");
        for line in lines {
            assert!(code.lines().any(|known| known.trim() == line), "the README's `{line}` is not in the code");
        }
    }
}
