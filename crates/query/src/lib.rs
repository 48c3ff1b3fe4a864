//! Asks SQL of the study's tables with Polars.
//!
//! Every table is a relation of its name, with the keys of its path (`dataset`, `run`, `seed`, …) as columns. A question that
//! names keys opens the files of these keys alone. `examples/questions.rs` asks the same with Polars' lazy frames.

mod describe;
mod mistake;
mod output;
mod prompt;
mod script;
mod tables;

use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Parser;
use declarations::Fault;
use polars::prelude::{DataFrame, LazyFrame};
use polars::sql::SQLContext;

pub use crate::output::{Format, Output};
use crate::script::Statement;
pub use crate::tables::Tables;

/// Ask SQL of the study's tables
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  query \"SELECT layer, avg(entropy_nats) FROM head_metrics WHERE run = 'run_3' AND step = 2000 GROUP BY layer ORDER BY layer\"
  query '\\d'                  # the tables; query '\\d head_metrics': its columns, their units and meanings
  query --format csv --file question.sql >answer.csv
  query                       # a prompt

Runs share trainings: name one run in every question, or each training counts several times."
)]
pub struct Arguments {
    /// SQL, `\d` for the tables, or `\d TABLE` for a table's columns; a prompt, or standard input, if left out
    #[arg(value_name = "SQL", conflicts_with_all = ["command", "file"])]
    pub sql: Option<String>,

    /// The same as an option
    #[arg(short, long, value_name = "SQL", conflicts_with = "file", allow_hyphen_values = true)]
    pub command: Option<String>,

    /// File of SQL statements; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Folder that holds all tables of the study
    #[arg(short, long, value_name = "FOLDER", default_value = "artifacts/laptop")]
    pub artifacts: PathBuf,

    /// Form of the answer; `table` shortens numbers to 6 digits and lists to 4 elements
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Rows shown at most, 0 for all [default: 100 of a table, all of the other forms]
    #[arg(long, value_name = "ROWS")]
    pub maxrows: Option<usize>,

    /// File that the answer is written to
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs the statements, or the prompt, and prints the answers.
///
/// # Errors
/// A wrong argument or statement, a table that is missing or cannot be read, or an answer that cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), Fault> {
    let tables = Tables::open(&arguments.artifacts)?;
    let output = Output::new(arguments.format, arguments.maxrows, arguments.output.as_deref())?;
    let mut session = Session { context: tables.context()?, tables, output };
    match text(arguments)? {
        Some(text) => session.run(&text)?,
        None => prompt::read(&mut session)?,
    }
    session.output.close()
}

/// The statements that the command line names; none if it asks for a prompt.
fn text(arguments: &Arguments) -> Result<Option<String>, Fault> {
    let standard_input = || {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| Fault::input(format!("cannot read standard input: {error}")))?;
        Ok(Some(text))
    };
    match (&arguments.sql, &arguments.command, &arguments.file) {
        (Some(sql), ..) | (_, Some(sql), _) => Ok(Some(sql.clone())),
        (_, _, Some(file)) if file == Path::new("-") => standard_input(),
        (_, _, Some(file)) => {
            let text = fs::read_to_string(file);
            text.map(Some).map_err(|error| Fault::input(format!("cannot read {}: {error}", file.display())))
        }
        _ if std::io::stdin().is_terminal() => Ok(None),
        _ => standard_input(),
    }
}

/// The tables, what statements made of them, and where answers go.
pub(crate) struct Session {
    context: SQLContext,
    pub(crate) tables: Tables,
    output: Output,
}

impl Session {
    /// Runs statements in turn; the first that fails ends them.
    pub(crate) fn run(&mut self, text: &str) -> Result<(), Fault> {
        for statement in script::statements(text) {
            let answer = match &statement {
                Statement::Sql(sql) => self.ask(sql).map_err(|error| mistake::explain(sql, &error, &self.tables))?,
                Statement::Describe(None) => describe::tables(&self.tables)?,
                Statement::Describe(Some(table)) => describe::table(&self.tables, table)?,
                Statement::Unknown(command) => {
                    return Err(Fault::parameter(format!("there is no `{command}`; there are {}", script::COMMANDS)));
                }
            };
            self.output.write(answer)?;
        }
        Ok(())
    }

    fn ask(&mut self, sql: &str) -> Result<DataFrame, polars::error::PolarsError> {
        self.context.execute(sql).and_then(LazyFrame::collect)
    }
}
