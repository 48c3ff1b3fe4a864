//! What is wrong with a statement, and where.

use cli::near::nearest;
use declarations::Fault;
use polars::error::PolarsError;
use polars::sql::keywords::all_functions;
use sqlparser::tokenizer::Token;

use crate::Tables;
use crate::script::tokens;

/// A place in a text: line and column, from 1.
type Place = (usize, usize);

/// The error of a statement as its author reads it: what is wrong, the place, and a name that is near.
pub(crate) fn explain(sql: &str, error: &PolarsError, tables: &Tables) -> Fault {
    let error = innermost(error);
    let text = error.to_string();
    // Below it, Polars prints the plan up to the failure.
    let first = text.split("\n\nResolved plan until failure").next().unwrap_or(&text).trim();
    let absent = |name: &str| tables.all().find(|(table, present)| !present && table.name == name);
    if let Some((table, _)) = between(first, "relation '", "' was not found").and_then(absent) {
        return Fault::input(tables.missing(table));
    }
    match error {
        PolarsError::SQLInterface(_) | PolarsError::SQLSyntax(_) | PolarsError::ColumnNotFound(_) => {
            let (message, place) = mistake(sql, first, tables);
            Fault::parameter(place.map_or(message.clone(), |place| format!("{message}\n{}", shown(sql, place))))
        }
        PolarsError::IO { .. } => Fault::input(first.to_owned()),
        // Polars does not say of which file.
        _ if first.starts_with("parquet: ") => {
            let words = tokens(sql).into_iter().filter_map(|token| match token.token {
                Token::Word(word) => Some(word.value),
                _ => None,
            });
            let file = words.filter_map(|word| tables.unreadable(&word)).next();
            Fault::input(file.map_or(first.to_owned(), |file| format!("{} cannot be read: {first}", file.display())))
        }
        _ => Fault::parameter(first.to_owned()),
    }
}

/// The error itself, without where in the plan it arose.
fn innermost(mut error: &PolarsError) -> &PolarsError {
    while let PolarsError::Context { error: inner, .. } | PolarsError::ExprContext { error: inner, .. } = error {
        error = inner;
    }
    error
}

fn mistake(sql: &str, message: &str, tables: &Tables) -> (String, Option<Place>) {
    if let Some(name) = between(message, "relation '", "' was not found") {
        let near = nearest(name, tables.all().filter(|(_, present)| *present).map(|(table, _)| table.name));
        let message = format!("there is no table `{name}`{near}; `\\d` lists the tables");
        return (message, place_of(sql, name));
    }
    if let Some(name) = between(message, "unable to find column \"", "\"") {
        let known =
            between(message, "valid columns: ", "]").and_then(|list| serde_json::from_str(&format!("{list}]")).ok());
        let known: Vec<String> = known.unwrap_or_default();
        let near = nearest(name, known.iter().map(String::as_str));
        let known = if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) };
        return (format!("there is no column `{name}`{near}{known}"), place_of(sql, name));
    }
    if let Some(name) = between(message, "unsupported function '", "'") {
        let near = nearest(name, all_functions());
        return (format!("there is no function `{name}`{near}"), place_of(sql, name));
    }
    match message.rsplit_once(" at Line: ").and_then(|(said, place)| Some((said, place.split_once(", Column: ")?))) {
        Some((said, (line, column))) => {
            let said = said.trim_start_matches("sql parser error: ");
            (format!("invalid SQL: {said}"), line.parse().ok().zip(column.trim().parse().ok()))
        }
        None => (message.to_owned(), None),
    }
}

/// The text after the first and before the second.
fn between<'text>(text: &'text str, before: &str, after: &str) -> Option<&'text str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// Where a name is first used.
fn place_of(sql: &str, name: &str) -> Option<Place> {
    let token = tokens(sql)
        .into_iter()
        .find(|token| matches!(&token.token, Token::Word(word) if word.value.eq_ignore_ascii_case(name)))?;
    Some((usize::try_from(token.span.start.line).ok()?, usize::try_from(token.span.start.column).ok()?))
}

/// The line of a place, with a mark below the place.
fn shown(sql: &str, (line, column): Place) -> String {
    let text = sql.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    format!("line {line}, column {column}:\n  {text}\n  {:>column$}", "^")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word() {
        assert_eq!(place_of("SELECT 'layr', -- layr\n  Layr FROM t", "layr"), Some((2, 3)));
        assert_eq!(place_of("SELECT 1", "layr"), None);
    }

    #[test]
    fn a_place_is_marked() {
        assert_eq!(shown("SELECT 1\nFORM t", (2, 1)), "line 2, column 1:\n  FORM t\n  ^");
        assert_eq!(shown("SELECT 1", (1, 9)), "line 1, column 9:\n  SELECT 1\n          ^");
    }
}
