//! What a person reads when the pipeline has ended: results, findings, and where the pictures lie.

use std::fmt::Write;

use cli::Fault;
use console::{Style, measure_text_width};
use schemas::tables::{Findings, Results};
use schemas::{Artifacts, Partition};

use crate::study::Study;

/// The narrowest column of reasons that is still read with pleasure.
const NARROWEST: usize = 32;

/// The results: a row for each dataset and run.
pub fn results(artifacts: &Artifacts) -> Result<String, Fault> {
    let heads = ["dataset", "run", "", "seeds", "final train loss", "best val loss", "train time, s", "characters/s"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for row in artifacts.read::<Results>(&Partition::study())?.rows {
        let measured = |mean: f64, stderr: Option<f64>, digits: usize| match stderr {
            Some(stderr) => format!("{mean:.digits$} ± {stderr:.digits$}"),
            None => format!("{mean:.digits$}"),
        };
        let copied =
            if row.training_of == row.run { String::new() } else { format!(" ({}'s training)", row.training_of) };
        rows.push(vec![
            row.dataset,
            row.run,
            row.label + &copied,
            row.seeds.to_string(),
            measured(row.final_train_loss_mean, row.final_train_loss_stderr, 4),
            measured(row.best_val_loss_mean, row.best_val_loss_stderr, 4),
            measured(row.total_train_time_secs_mean, row.total_train_time_secs_stderr, 1),
            measured(row.inference_tokens_per_sec_mean, row.inference_tokens_per_sec_stderr, 0),
        ]);
    }
    let title = "Results (mean ± standard error over seeds; losses in nats per character)";
    Ok(format!("{}\n{}", Style::new().bold().apply_to(title), table(&rows)))
}

/// The findings of every text, as wide as the terminal.
pub fn findings(artifacts: &Artifacts, study: &Study, width: usize) -> Result<String, Fault> {
    let mut text = String::new();
    for name in study.texts.iter().map(|text| &text.name) {
        let rows = artifacts.read::<Findings>(&Partition::dataset(name))?.rows;
        let lines: Vec<[String; 4]> = rows
            .iter()
            .map(|row| [row.claim.clone(), row.verdict.to_string(), value(row), row.reason.clone()])
            .collect();
        let title = format!("Findings on {name} (value [95 % interval over seeds])");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", Style::new().bold().apply_to(title));
        text.push_str(&wrapped(&lines, width));
    }
    Ok(text)
}

fn value(row: &Findings) -> String {
    match (row.value, row.low, row.high) {
        (Some(value), Some(low), Some(high)) => format!("{} [{}, {}]", number(value), number(low), number(high)),
        (Some(value), _, _) => number(value),
        (None, _, _) => "–".to_owned(),
    }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e4).contains(&size) => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// Rows as aligned columns, words to the left and numbers to the right; the first row is the head.
fn table(rows: &[Vec<String>]) -> String {
    const WORDS: usize = 3;
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (position, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column < WORDS {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        let style = if position == 0 { Style::new().dim() } else { Style::new() };
        let _ = writeln!(text, "  {}", style.apply_to(line));
    }
    text
}

/// Columns of which the last is broken between words to fill the rest of the width.
fn wrapped(lines: &[[String; 4]], width: usize) -> String {
    let column = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [column(0), column(1), column(2)];
    let indent = widths.iter().sum::<usize>() + 2 * 4;
    let room = width.saturating_sub(indent).max(NARROWEST);
    let mut text = String::new();
    for [claim, verdict, value, reason] in lines {
        let style = match verdict.as_str() {
            "supported" => Style::new().green(),
            "refuted" => Style::new().red(),
            "inconclusive" => Style::new().yellow(),
            _ => Style::new().dim(),
        };
        let verdict = style.apply_to(format!("{verdict:<width$}", width = widths[1]));
        let head = format!("  {claim:<0$}  {verdict}  {value:<1$}  ", widths[0], widths[2]);
        let mut reason = broken(reason, room).into_iter();
        let _ = writeln!(text, "{}", format!("{head}{}", reason.next().unwrap_or_default()).trim_end());
        for rest in reason {
            let _ = writeln!(text, "{:indent$}{rest}", "");
        }
    }
    text
}

fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_broken_between_words() {
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("", 7), Vec::<String>::new());
        let lines = [["claim".into(), "refuted".into(), "0.1".into(), "because it is so and so it is indeed".into()]];
        let text = console::strip_ansi_codes(&wrapped(&lines, 40)).into_owned();
        assert_eq!(text, "  claim  refuted  0.1  because it is so and so it is\n                       indeed\n");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let text =
            table(&[row(["dataset", "run", "", "seeds", "loss"]), row(["x", "run_0", "Baseline", "3", "1.9 ± 0.1"])]);
        let text = console::strip_ansi_codes(&text).into_owned();
        assert_eq!(
            text,
            "  dataset  run              seeds       loss\n  x        run_0  Baseline      3  1.9 ± 0.1\n"
        );
    }

    #[test]
    fn numbers_have_three_digits_that_say_something() {
        assert_eq!(
            [number(0.12345), number(0.0), number(-1e-5), number(2000.0)],
            ["0.123", "0", "-1.0e-5", "2000.000"]
        );
    }
}
