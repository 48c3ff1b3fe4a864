//! Text that HTML and XML can carry.

use std::borrow::Cow;

/// A text with every character that XML forbids shown as the replacement character, and with line feeds for carriage returns, as
/// XML reads both. Generated text holds such characters; markup is escaped by the templates and by the SVG backend.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        return Cow::Owned(printable(&text.replace("\r\n", "\n").replace('\r', "\n")).into_owned());
    }
    let forbidden = |character: char| {
        let whitespace = matches!(character, '\n' | '\t');
        character.is_control() && !whitespace || matches!(character, '\u{FFFE}' | '\u{FFFF}')
    };
    if text.contains(forbidden) { Cow::Owned(text.replace(forbidden, "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_are_replaced_visibly() {
        assert_eq!(printable("a\u{1}\u{FFFF}b\n\t<é>"), "a\u{FFFD}\u{FFFD}b\n\t<é>");
        assert_eq!(printable("one\r\ntwo\rthree\u{1}"), "one\ntwo\nthree\u{FFFD}");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
    }
}
