//! The table of results, one row per dataset and run.

use cli::number;
use maud::{Markup, html};
use schemas::Unit;
use schemas::tables::Results;

use super::scrolling_table;

/// A column: its heading, and mean and standard error of a row that has them.
type Column = (&'static str, fn(&Results) -> Option<(f64, Option<f64>)>);

const COLUMNS: [Column; 6] = [
    ("final training loss", |row| Some((row.final_train_loss_mean, row.final_train_loss_stderr))),
    ("best validation loss", |row| Some((row.best_val_loss_mean, row.best_val_loss_stderr))),
    ("loss over the validation split", |row| Some((row.split_val_loss_mean?, row.split_val_loss_stderr))),
    ("loss over the test split", |row| Some((row.split_test_loss_mean?, row.split_test_loss_stderr))),
    ("training time (s)", |row| Some((row.total_train_time_secs_mean, row.total_train_time_secs_stderr))),
    ("inference (tokens/s)", |row| Some((row.inference_tokens_per_sec_mean, row.inference_tokens_per_sec_stderr))),
];

/// The table, whose losses are per one of `units`, of models that were trained here or imported. Columns that no row has are left
/// out, and of imported models what only a training has.
pub(super) fn table(rows: &[Results], units: &[Unit], imported: bool) -> Markup {
    let of_trainings = |heading: &str| heading.starts_with("final training") || heading.starts_with("training time");
    let is_shown =
        |(heading, of): &&Column| rows.iter().any(|row| of(row).is_some()) && !(imported && of_trainings(heading));
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_shown).collect();
    let headings: Vec<&str> =
        ["dataset", "run", "seeds"].into_iter().chain(columns.iter().map(|(heading, _)| *heading)).collect();
    let markup: Vec<Markup> = rows.iter().map(|row| table_row(row, rows, &columns)).collect();
    html! {
        (scrolling_table("results", "Results by dataset and run", &headings, &markup))
        p.note {
            "Mean ± standard error over seeds; losses in nats per " (per(units)) ". "
            @if imported {
                "The models were trained elsewhere. Best validation loss: the lowest of the imported checkpoints, each on evenly \
                 spaced windows"
            } @else {
                "Final training loss: mean over the last tenth of the logged steps. Best validation loss: the lowest of those that \
                 were measured during training, each on random windows"
            }
            (at_steps(rows)) "."
            @if columns.iter().any(|(heading, _)| heading.starts_with("loss over")) {
                " Losses over whole splits: of the last checkpoint, every " (per(units)) " predicted once; compare models by these."
            }
            @if has_identical_losses(rows) {
                " Runs with the same seeds learn the same weights, so their losses are equal; they differ in what they record \
                 and in time. A training that differs only in the run’s name is computed once and shared, timings included."
            }
        }
    }
}

/// `character`, or `character or byte` of datasets that are read in different ways.
fn per(units: &[Unit]) -> String {
    let mut words: Vec<String> = units.iter().map(Unit::to_string).collect();
    words.dedup();
    words.join(" or ")
}

/// The steps of the best losses.
fn at_steps(rows: &[Results]) -> String {
    let steps = rows.iter().flat_map(|row| &row.best_val_loss_steps);
    match (steps.clone().min(), steps.max()) {
        (Some(first), Some(last)) if first == last => format!(" (at step {})", number::integer(*first)),
        (Some(first), Some(last)) => format!(" (at steps {} to {})", number::integer(*first), number::integer(*last)),
        _ => String::new(),
    }
}

fn table_row(row: &Results, rows: &[Results], columns: &[&Column]) -> Markup {
    html! {
        td { (row.dataset) }
        td {
            b { (row.run) }
            span.muted {
                (row.label)
                @let others = row.training_of.split(", ").filter(|run| *run != row.run).collect::<Vec<_>>().join(", ");
                @if !others.is_empty() { " (shares trainings of " (others) ")" }
            }
        }
        td.number { (number::integer(row.seeds)) }
        @for (_, column) in columns {
            // All rows of a dataset have the decimals of the largest error.
            @let errors = rows.iter().filter(|other| other.dataset == row.dataset).filter_map(|other| column(other)?.1);
            td.number {
                @match column(row) {
                    Some((mean, stderr)) => {
                        (number::mean_stderr(mean, stderr, number::meaningful(mean, errors.reduce(f64::max))))
                    }
                    None => { (number::MISSING) }
                }
            }
        }
    }
}

fn has_identical_losses(rows: &[Results]) -> bool {
    rows.iter().enumerate().any(|(index, row)| {
        rows[index + 1..].iter().any(|other| {
            other.dataset == row.dataset && other.best_val_loss_mean.to_bits() == row.best_val_loss_mean.to_bits()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(run: &str, val: f64, speed: f64) -> Results {
        Results {
            dataset: "tiny".into(),
            run: run.into(),
            label: "<label>".into(),
            training_of: run.into(),
            seeds: 2,
            final_train_loss_mean: 1.5,
            final_train_loss_stderr: Some(0.01),
            best_val_loss_mean: val,
            best_val_loss_stderr: None,
            best_val_loss_steps: vec![1900, 2000],
            split_val_loss_mean: Some(1.85),
            split_val_loss_stderr: None,
            split_test_loss_mean: None,
            split_test_loss_stderr: None,
            total_train_time_secs_mean: 60.0,
            total_train_time_secs_stderr: Some(1.0),
            inference_tokens_per_sec_mean: speed,
            inference_tokens_per_sec_stderr: Some(10.0),
        }
    }

    #[test]
    fn results_have_errors_and_identical_losses_are_explained() {
        let html =
            table(&[result("run_0", 1.9, 100.0), result("run_1", 1.8, 900.0)], &[Unit::Byte], false).into_string();
        assert!(html.contains("nats per byte") && html.contains("(at steps 1900 to 2000)"));
        assert!(html.contains("loss over the validation split") && !html.contains("loss over the test split"));
        assert!(
            html.contains("<td class=\"number\">1.800</td>") && html.contains("<td class=\"number\">900 ± 10</td>")
        );
        assert!(html.contains("&lt;label&gt;") && !html.contains("learn the same weights"));
        let html = table(&[result("run_0", 1.9, 1.0), result("run_1", 1.9, 1.0)], &[], false).into_string();
        assert!(html.contains("learn the same weights"));
        let html = table(&[result("run_0", 1.9, 1.0)], &[], true).into_string();
        assert!(
            html.contains("trained elsewhere") && !html.contains("training time") && !html.contains("random windows")
        );
    }
}
