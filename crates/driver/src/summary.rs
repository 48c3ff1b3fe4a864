//! Tables for the terminal: the results and findings of a study, and the entries of `pipeline.yaml`.

use std::fmt::Write;

use cli::number::{estimate, integer, mean_stderr};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use console::{Style, measure_text_width};
use declarations::Fault;
use schemas::enums::Verdict;
use schemas::tables::{Findings, Results};
use schemas::{Artifacts, Partition};

use crate::experiment::Experiment;
use crate::study::Study;

/// Columns of a table's text where there is no terminal.
const LOG_WIDTH: u16 = 120;

/// The results, a row for each dataset and run, to fit a terminal of `width` columns if there is one.
///
/// # Errors
/// The table `results` cannot be read.
pub fn results(artifacts: &Artifacts, width: Option<u16>) -> Result<String, Fault> {
    let header = ["dataset", "run", "", "seeds", "final train loss", "best val loss", "train time, s", "characters/s"];
    let mut rows = vec![header.map(str::to_owned)];
    for row in artifacts.read::<Results>(&Partition::study())?.rows {
        let is_duplicate = row.training_of != row.run;
        let duplicate = if is_duplicate { format!(" (duplicate of {})", row.training_of) } else { String::new() };
        rows.push([
            row.dataset,
            row.run,
            row.label + &duplicate,
            integer(row.seeds),
            mean_stderr(row.final_train_loss_mean, row.final_train_loss_stderr, 4),
            mean_stderr(row.best_val_loss_mean, row.best_val_loss_stderr, 4),
            mean_stderr(row.total_train_time_secs_mean, row.total_train_time_secs_stderr, 1),
            mean_stderr(row.inference_tokens_per_sec_mean, row.inference_tokens_per_sec_stderr, 0),
        ]);
    }
    let mut table = table(&rows, width);
    for number in table.column_iter_mut().skip(3) {
        number.set_cell_alignment(CellAlignment::Right);
    }
    let title = title("Results (mean ± standard error over seeds; losses in nats per character)");
    Ok(format!("{title}\n{}\n", table.trim_fmt()))
}

/// The findings on each dataset, to fit a terminal of `width` columns if there is one.
///
/// # Errors
/// A table `findings` cannot be read.
pub fn findings(artifacts: &Artifacts, study: &Study, width: Option<u16>) -> Result<String, Fault> {
    let mut text = String::new();
    for name in study.datasets.iter().map(|dataset| &dataset.name) {
        let findings = artifacts.read::<Findings>(&Partition::dataset(name))?.rows;
        let rows: Vec<[String; 4]> = findings
            .into_iter()
            .map(|finding| {
                let verdict = format!("{} {}", symbol(finding.verdict), finding.verdict);
                let value = estimate(finding.value, finding.low.zip(finding.high));
                [finding.claim, verdict, value, finding.reason]
            })
            .collect();
        let title = title(&format!("Findings on {name} (value [95 % interval over seeds])"));
        let table = table(&rows, Some(width.unwrap_or(LOG_WIDTH)));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{title}\n{}", table.trim_fmt());
    }
    Ok(text)
}

/// What `pipeline.yaml` has to choose from: profiles, datasets and runs.
pub fn entries(experiment: &Experiment) -> String {
    let profiles = experiment.profiles.iter().map(|(name, profile)| [name.clone(), text(profile.about.as_ref())]);
    let datasets = experiment.datasets.iter().map(|(name, dataset)| [name.clone(), text(dataset.source.as_ref())]);
    let runs = experiment.runs.iter().map(|(name, run)| {
        let stages: Vec<String> = run.stages.iter().map(ToString::to_string).collect();
        [name.clone(), format!("{} ({})", run.label, stages.join(", "))]
    });
    let sections: [(&str, Vec<_>); 3] =
        [("profiles", profiles.collect()), ("datasets", datasets.collect()), ("runs", runs.collect())];
    let section = |(title, rows): &(&str, Vec<_>)| format!("{title}\n{}", table(rows, None).trim_fmt());
    sections.iter().map(section).collect::<Vec<_>>().join("\n")
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_default()
}

fn title(text: &str) -> String {
    Style::new().bold().apply_to(text).to_string()
}

fn symbol(verdict: Verdict) -> char {
    match verdict {
        Verdict::Supported => '✓',
        Verdict::Refuted => '✗',
        Verdict::Inconclusive => '?',
        Verdict::NotTested => '–',
    }
}

/// Rows in aligned columns without borders, wrapped to fit `width` if there is one: between words where that is wide enough.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]], width: Option<u16>) -> Table {
    /// Blanks before each column.
    const GAP: u16 = 2;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((GAP, 0));
    }
    let Some(width) = width else { return table };
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let longest_word: [u16; COLUMNS] = std::array::from_fn(|column| {
        let words = rows.iter().flat_map(|row| row[column].split_whitespace());
        let longest = words.map(measure_text_width).max().unwrap_or(0);
        u16::try_from(longest).unwrap_or(u16::MAX).saturating_add(GAP)
    });
    if longest_word.iter().map(|width| u32::from(*width)).sum::<u32>() <= width.into() {
        for (column, least) in table.column_iter_mut().zip(longest_word) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const COLUMNS: usize>(rows: &[[&str; COLUMNS]]) -> Vec<[String; COLUMNS]> {
        rows.iter().map(|row| row.map(str::to_owned)).collect()
    }

    #[test]
    fn columns_are_aligned() {
        let rows = rows(&[["dataset", "run", ""], ["x", "run_0", "Baseline"]]);
        assert_eq!(table(&rows, None).trim_fmt(), "  dataset  run\n  x        run_0  Baseline");
    }

    #[test]
    fn rows_are_wrapped_between_words_where_that_fits() {
        let rows = rows(&[["claim_of_one_word", "because it is so and so it is"]]);
        assert_eq!(
            table(&rows, Some(40)).trim_fmt(),
            "  claim_of_one_word  because it is so\n                     and so it is"
        );
        for width in 28..=29 {
            let text = table(&rows, Some(width)).trim_fmt();
            assert!(text.starts_with("  claim_of_one_word  because\n"), "{text}");
        }
        let narrow = table(&rows, Some(20)).trim_fmt();
        assert!(narrow.lines().all(|line| measure_text_width(line) <= 20), "{narrow}");
    }
}
