//! The questions of docs/querying.md, asked with Polars' lazy frames.
//!
//!     cargo run --release --package query --example questions -- entropy_by_layer artifacts/laptop run_3 1337 2000
//!
//! prints the answer of one as JSON lines. `python/check_querying.py` compares the answers with those of SQL and Python.

use std::error::Error;
use std::path::Path;

use declarations::Fault;
use polars::prelude::*;
use query::{Format, Output, Tables};

/// Opens a table.
type Table<'a> = &'a dyn Fn(&str) -> Result<LazyFrame, Fault>;

/// What a question is about; each uses what it needs.
#[derive(Clone, Copy)]
struct About<'a> {
    run: &'a str,
    seed: u64,
    step: u32,
}

type Answer = Result<LazyFrame, Box<dyn Error>>;

fn entropy_by_layer(table: Table<'_>, About { run, step, .. }: About<'_>) -> Answer {
    let each_seed = table("head_metrics")?
        .filter(col("run").eq(lit(run)).and(col("step").eq(lit(step))))
        .group_by([col("seed"), col("layer")])
        .agg([col("entropy_nats").mean()]);
    let stderr = col("entropy_nats").std(1) / len().cast(DataType::Float64).sqrt();
    let answer = each_seed
        .group_by([col("layer")])
        .agg([col("entropy_nats").mean(), stderr.alias("standard_error")])
        .sort(["layer"], Default::default());
    Ok(answer)
}

fn previous_token_heads(table: Table<'_>, About { run, step, .. }: About<'_>) -> Answer {
    let heads = table("head_metrics")?.filter(col("run").eq(lit(run)));
    let score = col("previous_token_score");
    let strongest = heads
        .clone()
        .filter(col("step").eq(lit(step)))
        .sort(["previous_token_score"], SortMultipleOptions::default().with_order_descending(true))
        .group_by([col("seed")])
        .agg([col("layer").first(), col("head").first(), score.clone().first().alias("score")]);
    let keys = [col("seed"), col("layer"), col("head")];
    let answer = heads
        .join(strongest, keys.clone(), keys.clone(), JoinArgs::new(JoinType::Inner))
        .filter(score.gt(col("score") / lit(2.0)))
        .group_by(keys)
        .agg([col("score").max(), col("step").min().alias("half_at")])
        .sort(["seed"], Default::default());
    Ok(answer)
}

fn spread_over_seeds(table: Table<'_>, About { run, step, .. }: About<'_>) -> Answer {
    let loss = col("val_loss");
    let stderr = loss.clone().std(1) / len().cast(DataType::Float64).sqrt();
    let answer = table("evaluations")?.filter(col("run").eq(lit(run)).and(col("step").eq(lit(step)))).select([
        len().alias("seeds"),
        loss.clone().mean().alias("mean"),
        loss.std(1).alias("standard_deviation"),
        stderr.alias("standard_error"),
    ]);
    Ok(answer)
}

fn entropy_and_loss(table: Table<'_>, About { run, .. }: About<'_>) -> Answer {
    let of_run = col("run").eq(lit(run));
    let layers = table("head_metrics")?
        .filter(of_run.clone())
        .group_by([col("seed"), col("step"), col("layer")])
        .agg([col("entropy_nats").mean()]);
    let losses = table("evaluations")?.filter(of_run).select([col("seed"), col("step"), col("val_loss")]);
    let keys = [col("seed"), col("step")];
    let r = col("r");
    let answer = layers
        .join(losses, keys.clone(), keys, JoinArgs::new(JoinType::Inner))
        .group_by([col("seed"), col("layer")])
        .agg([pearson_corr(col("entropy_nats"), col("val_loss")).alias("r")])
        .group_by([col("layer")])
        .agg([r.clone().mean().alias("correlation"), r.clone().min().alias("lowest"), r.max().alias("highest")])
        .sort(["layer"], Default::default());
    Ok(answer)
}

fn largest_weights(table: Table<'_>, About { run, seed, step }: About<'_>) -> Answer {
    let of_run = col("run").eq(lit(run)).and(col("seed").eq(lit(seed)));
    let of_head = col("step").eq(lit(step)).and(col("layer").eq(lit(1))).and(col("head").eq(lit(0)));
    let texts = table("windows")?.filter(of_run.clone()).select([col("window"), col("text")]);
    let character = |at: &str| col("text").str().slice(col(at), lit(1));
    let answer = table("attention")?
        .filter(of_run.and(of_head).and(col("query").gt(lit(0))))
        .join(texts, [col("window")], [col("window")], JoinArgs::new(JoinType::Inner))
        .with_column(int_ranges(lit(0), col("query") + lit(1), lit(1), DataType::UInt16).alias("key"))
        .explode(by_name(["key", "weights"], true, false), ExplodeOptions { empty_as_null: false, keep_nulls: false })
        .sort_by_exprs(
            [col("weights"), col("window"), col("query")],
            SortMultipleOptions::default().with_order_descending_multi([true, false, false]),
        )
        .limit(5)
        .select([
            col("window"),
            col("query"),
            col("key"),
            col("weights").alias("weight"),
            character("query").alias("from_character"),
            character("key").alias("to_character"),
        ]);
    Ok(answer)
}

fn best_samples(table: Table<'_>, About { run, step, .. }: About<'_>) -> Answer {
    let keys = [col("run"), col("seed"), col("step"), col("sample")];
    let scores = table("sample_scores")?.filter(col("source").eq(lit("model")));
    let answer = table("samples")?
        .join(scores, keys.clone(), keys, JoinArgs::new(JoinType::Inner))
        .filter(col("run").eq(lit(run)).and(col("step").eq(lit(step))))
        .select([col("seed"), col("sample"), col("quality"), col("text")])
        .sort(
            ["quality", "seed", "sample"],
            SortMultipleOptions::default().with_order_descending_multi([true, false, false]).with_nulls_last(true),
        )
        .limit(3);
    Ok(answer)
}

fn cost_by_stage(table: Table<'_>, _: About<'_>) -> Answer {
    let answer = table("lineage")?
        .filter(col("status").eq(lit("done")))
        .group_by([col("stage")])
        .agg([
            len().alias("jobs"),
            col("wall_secs").sum().alias("seconds"),
            (col("peak_rss_bytes").max() / lit(1e6)).alias("peak_mb"),
        ])
        .sort(["seconds"], SortMultipleOptions::default().with_order_descending(true));
    Ok(answer)
}

fn similar_layers(table: Table<'_>, About { run, .. }: About<'_>) -> Answer {
    let answer = table("layer_similarity")?
        .filter(col("run").eq(lit(run)))
        .group_by([col("step"), col("layer_a"), col("layer_b")])
        .agg([col("js_similarity").mean()])
        .sort(["step", "layer_a", "layer_b"], Default::default());
    Ok(answer)
}

fn quality_and_loss(table: Table<'_>, About { run, .. }: About<'_>) -> Answer {
    let keys = [col("run"), col("seed"), col("step")];
    let answer = table("sample_scores")?
        .filter(col("run").eq(lit(run)))
        .join(table("evaluations")?, keys.clone(), keys, JoinArgs::new(JoinType::Left))
        .group_by([col("step"), col("source")])
        .agg([len().alias("texts"), col("quality").mean(), col("val_loss").mean()])
        .sort(["step", "source"], SortMultipleOptions::default().with_nulls_last(true));
    Ok(answer)
}

fn verdicts(table: Table<'_>, _: About<'_>) -> Answer {
    let answer = table("findings")?
        .filter(col("verdict").neq(lit("not_tested")))
        .select(["claim", "verdict", "value", "low", "high", "p_adjusted"].map(col))
        .sort(["p_adjusted", "claim"], SortMultipleOptions::default().with_nulls_last(true));
    Ok(answer)
}

type Question = fn(Table<'_>, About<'_>) -> Answer;

const QUESTIONS: [(&str, Question); 10] = [
    ("entropy_by_layer", entropy_by_layer),
    ("previous_token_heads", previous_token_heads),
    ("spread_over_seeds", spread_over_seeds),
    ("entropy_and_loss", entropy_and_loss),
    ("largest_weights", largest_weights),
    ("best_samples", best_samples),
    ("cost_by_stage", cost_by_stage),
    ("similar_layers", similar_layers),
    ("quality_and_loss", quality_and_loss),
    ("verdicts", verdicts),
];

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [name, artifacts, run, seed, step] = given.as_slice() else {
        return Err("usage: questions QUESTION ARTIFACTS RUN SEED STEP".into());
    };
    let names = QUESTIONS.map(|(name, _)| name).join(", ");
    let found = QUESTIONS.iter().find(|(known, _)| known == name);
    let (_, question) = found.ok_or_else(|| format!("there is no question `{name}`; there are {names}"))?;
    let tables = Tables::open(Path::new(artifacts))?;
    let table = |name: &str| tables.frame(name);
    let answer = question(&table, About { run, seed: seed.parse()?, step: step.parse()? })?.collect()?;
    Ok(Output::new(Format::Ndjson, None, None)?.write(answer)?)
}
