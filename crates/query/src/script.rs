//! A text as statements.

use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// What begins with a backslash.
pub(crate) const COMMANDS: &str = "`\\d`: the tables; `\\d TABLE`: the columns of one; in the prompt also `\\q`: quit";

/// One statement of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum Statement {
    /// SQL: the text up to its end, all before it being blank, so that places in it are places in the text.
    Sql(String),
    /// `\d`, of all tables or of one.
    Describe(Option<String>),
    /// Another line that begins with a backslash.
    Unknown(String),
}

/// The statements of a text: SQL between semicolons, and lines that begin with a backslash.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut start = 0;
    loop {
        start += text[start..].len() - text[start..].trim_start().len();
        let rest = &text[start..];
        if rest.is_empty() {
            return statements;
        }
        let end = if rest.starts_with('\\') {
            let line = rest.lines().next().unwrap_or_default();
            statements.push(command(line.trim_end().trim_end_matches(';')));
            start + line.len()
        } else {
            let (end, blank) = end(rest);
            if !blank {
                statements.push(Statement::Sql(blanked(&text[..start]) + &rest[..end]));
            }
            (start + end + 1).min(text.len())
        };
        start = end;
    }
}

fn command(line: &str) -> Statement {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("\\d"), table, None) => Statement::Describe(table.map(|name| name.trim_matches('"').to_owned())),
        _ => Statement::Unknown(line.to_owned()),
    }
}

/// Where the first statement of a text ends, in bytes, and whether it is nothing but comments.
fn end(text: &str) -> (usize, bool) {
    let tokens = tokens(text);
    let end = tokens.iter().position(|token| token.token == Token::SemiColon);
    let before = &tokens[..end.unwrap_or(tokens.len())];
    let blank = !tokens.is_empty() && before.iter().all(|token| matches!(token.token, Token::Whitespace(_)));
    (end.map_or(text.len(), |end| offset(text, tokens[end].span.start)), blank)
}

/// The tokens of a text; none if it has none, as where a quote is not closed.
pub(crate) fn tokens(text: &str) -> Vec<TokenWithSpan> {
    Tokenizer::new(&GenericDialect, text).tokenize_with_location().unwrap_or_default()
}

/// Where a place is, in bytes. Lines and columns count from 1, columns in characters.
fn offset(text: &str, place: Location) -> usize {
    let count = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let line_start: usize = text.split_inclusive('\n').take(count(place.line)).map(str::len).sum();
    let line = &text[line_start..];
    line_start + line.char_indices().nth(count(place.column)).map_or(line.len(), |(at, _)| at)
}

/// As many lines, and columns in the last one, of nothing.
fn blanked(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Statement {
        Statement::Sql(text.to_owned())
    }

    #[test]
    fn semicolons_end_statements_but_not_in_quotes_and_comments() {
        assert_eq!(statements("SELECT 1"), [sql("SELECT 1")]);
        let first = " SELECT ';', \"a;b\" -- ;\n";
        let second = format!("{}\n \nSELECT 2", " ".repeat(first.len() - 1));
        assert_eq!(statements(&format!("{first};\nSELECT 2; ")), [sql(first), sql(&second)]);
        assert_eq!(statements("-- nothing\n;; /* nothing */"), []);
        assert_eq!(statements("SELECT 'é;é'; SELECT 2"), [sql("SELECT 'é;é'"), sql("              SELECT 2")]);
    }

    #[test]
    fn an_open_quote_is_left_to_the_parser() {
        assert_eq!(statements("SELECT 'a; SELECT 2"), [sql("SELECT 'a; SELECT 2")]);
    }

    #[test]
    fn a_line_with_a_backslash_is_a_command() {
        let describe = |table: Option<&str>| Statement::Describe(table.map(str::to_owned));
        assert_eq!(
            statements("\\d\n\\d \"windows\";\nSELECT 1;\\d a b"),
            [
                describe(None),
                describe(Some("windows")),
                sql("  \n             \nSELECT 1"),
                Statement::Unknown("\\d a b".to_owned()),
            ]
        );
    }
}
