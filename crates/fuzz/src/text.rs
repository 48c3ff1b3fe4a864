//! Texts: decoded, split, counted, encoded, and weighed.

use prep::reading::{Splits, Text};
use prep::semantic_space::{MOST_SEGMENTS, semantic_space};
use prep::tokens::Tokens;
use prep::vocabulary::Vocabulary;

use crate::Target;

/// The first three bytes of an input are the encoding and the fractions, the rest is the text. Tokens are of one, two or three bytes.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    let [encoding, train, val, bytes @ ..] = data else { return };
    let fractions = (f64::from(*train) / 255.0, f64::from(*val) / 255.0);
    let symbols: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte; 1 + usize::from(byte % 3)]).collect();
    let tokens = Tokens::read("file", bytes, &symbols);
    let text = match encoding % 3 {
        0 => Text::utf8(bytes).ok(),
        1 => Some(Text::Bytes(bytes)),
        _ => tokens.as_ref().ok().map(Tokens::text),
    };
    let Some(text) = text else { return };
    let splits = Splits::of(text, fractions.0, fractions.1);
    let parts = splits.named().map(|(_, part)| part);
    assert_eq!(parts.iter().map(Text::characters).sum::<usize>(), text.characters(), "no character is lost");
    let chunks = text.chunks(1 + usize::from(*train));
    assert_eq!(chunks.iter().map(Text::characters).sum::<usize>(), text.characters());
    let segments = splits.train.segments(1 + usize::from(*val)).taken;
    // Slow, so not always: a table of all code points; a singular value decomposition.
    if bytes.len() % 16 == 1 {
        let vocabulary = Vocabulary::of(&splits).expect("a short text has few symbols");
        for part in parts {
            let tokens = vocabulary.encode(part);
            let bytes = tokens.iter().flat_map(|row| vocabulary.rows()[usize::from(row.token)].bytes.iter().copied());
            assert!(bytes.eq(part.bytes().iter().copied()), "the tokens are not the text");
        }
    }
    if bytes.len() % 16 == 2 {
        assert!(segments.len() <= MOST_SEGMENTS);
        let space = semantic_space(&segments).rows;
        assert!(space.iter().all(|row| row.idf.is_finite() && row.loadings.iter().all(|value| value.is_finite())));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let with = |encoding: u8, text: &[u8]| [&[encoding, 230, 25], text].concat();
    let shakespeare =
        b"First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n".repeat(4);
    let utf16: Vec<u8> = "\u{feff}wide".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        with(0, &shakespeare),
        with(1, &shakespeare),
        with(0, "Æther – 日本語 e\u{301} \u{10ffff} 𝒳".as_bytes()),
        with(1, &utf16),
        with(0, &utf16),
        with(1, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
        with(2, b"t\0o\0 \0b\0e\0"),
        with(2, b""),
        with(0, b"\xef\xbb\xbfx\r\ny"),
    ]
}
