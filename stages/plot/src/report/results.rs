//! The table of results, one row per dataset and run.

use cli::number;
use maud::{Markup, html};
use schemas::tables::Results;

use super::scrolling_table;

/// A column: its heading, and mean and standard error of a row.
type Column = (&'static str, fn(&Results) -> (f64, Option<f64>));

const COLUMNS: [Column; 4] = [
    ("final training loss", |row| (row.final_train_loss_mean, row.final_train_loss_stderr)),
    ("best validation loss", |row| (row.best_val_loss_mean, row.best_val_loss_stderr)),
    ("training time (s)", |row| (row.total_train_time_secs_mean, row.total_train_time_secs_stderr)),
    ("inference (tokens/s)", |row| (row.inference_tokens_per_sec_mean, row.inference_tokens_per_sec_stderr)),
];

pub(super) fn table(rows: &[Results]) -> Markup {
    let headings: Vec<&str> =
        ["dataset", "run", "seeds"].into_iter().chain(COLUMNS.iter().map(|(heading, _)| *heading)).collect();
    let markup: Vec<Markup> = rows.iter().map(|row| table_row(row, rows)).collect();
    html! {
        (scrolling_table("results", "Results by dataset and run", &headings, &markup))
        p.note {
            "Mean ± standard error over seeds; losses in nats per character. Final training loss: mean over \
             the last tenth of the logged steps."
            @if has_identical_losses(rows) {
                " Runs with the same seeds learn the same weights, so their losses are equal; they differ in what they record \
                 and in time. A training that differs only in the run’s name is computed once and shared, timings included."
            }
        }
    }
}

fn table_row(row: &Results, rows: &[Results]) -> Markup {
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
        @for (_, column) in &COLUMNS {
            @let (mean, stderr) = column(row);
            // All rows of a dataset have the decimals of the largest error.
            @let errors = rows.iter().filter(|other| other.dataset == row.dataset).filter_map(|other| column(other).1);
            td.number { (number::mean_stderr(mean, stderr, number::meaningful(mean, errors.reduce(f64::max)))) }
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
            total_train_time_secs_mean: 60.0,
            total_train_time_secs_stderr: Some(1.0),
            inference_tokens_per_sec_mean: speed,
            inference_tokens_per_sec_stderr: Some(10.0),
        }
    }

    #[test]
    fn results_have_errors_and_identical_losses_are_explained() {
        let html = table(&[result("run_0", 1.9, 100.0), result("run_1", 1.8, 900.0)]).into_string();
        assert!(
            html.contains("<td class=\"number\">1.800</td>") && html.contains("<td class=\"number\">900 ± 10</td>")
        );
        assert!(html.contains("&lt;label&gt;") && !html.contains("learn the same weights"));
        let html = table(&[result("run_0", 1.9, 1.0), result("run_1", 1.9, 1.0)]).into_string();
        assert!(html.contains("learn the same weights"));
    }
}
