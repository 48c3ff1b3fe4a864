//! The interactive prompt.

use std::path::PathBuf;

use declarations::Fault;
use polars::sql::keywords::all_keywords;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};

use crate::{Session, Tables};

/// Reads statements, each ended by a semicolon, and answers them; an error ends the statement alone. Ends with `\q` or Ctrl-D.
///
/// # Errors
/// The terminal cannot be read.
pub(crate) fn read(session: &mut Session) -> Result<(), Fault> {
    let fault = |error: ReadlineError| Fault::input(format!("cannot read the terminal: {error}"));
    let mut editor = Editor::<Names, DefaultHistory>::new().map_err(fault)?;
    editor.set_helper(Some(Names::of(&session.tables)));
    let history = std::env::home_dir().map(|home: PathBuf| home.join(".attention_query_history"));
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    println!("Statements end with a semicolon. \\d lists the tables, \\d TABLE the columns of one, \\q quits.");
    loop {
        match editor.readline("query> ") {
            Ok(line) if ["\\q", "\\q;", "quit", "quit;", "exit", "exit;"].contains(&line.trim()) => break,
            Ok(line) => {
                let _ = editor.add_history_entry(line.trim());
                if let Err(fault) = session.run(&line) {
                    eprintln!("error: {fault}");
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(fault(error)),
        }
    }
    if let Some(history) = &history {
        // A prompt without memory is still a prompt.
        let _ = editor.save_history(history);
    }
    Ok(())
}

/// Completes names: tables, their columns, and words of SQL.
struct Names(Vec<String>);

impl Names {
    fn of(tables: &Tables) -> Self {
        let mut names: Vec<String> = all_keywords().into_iter().map(str::to_owned).collect();
        for (table, _) in tables.all().filter(|(_, present)| *present) {
            names.push(table.name.to_owned());
            names.extend(table.keys.iter().map(ToString::to_string));
            names.extend(table.columns.iter().map(|column| column.name.to_owned()));
        }
        names.sort_unstable();
        names.dedup();
        Self(names)
    }
}

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..at];
        let start = before.rfind(|character: char| !character.is_alphanumeric() && character != '_');
        let start = start.map_or(0, |found| found + before[found..].chars().next().map_or(0, char::len_utf8));
        let begun = before[start..].to_lowercase();
        let near = self.0.iter().filter(|name| !begun.is_empty() && name.to_lowercase().starts_with(&begun));
        Ok((start, near.cloned().collect()))
    }
}

impl Validator for Names {
    /// A statement goes on until its semicolon.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let line = context.input().trim();
        let whole =
            line.is_empty() || line.starts_with('\\') || line.ends_with(';') || ["quit", "exit"].contains(&line);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

impl Helper for Names {}
