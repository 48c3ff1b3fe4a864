//! The alphabet of a model: characters, or subwords.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::Error;
use crate::pickle::{Object, Pickle};

/// Symbols that tokens of 16 bits can number.
pub const MOST_SYMBOLS: usize = 1 << 16;

/// The symbols of a model in the order of their tokens, as bytes: from nanoGPT's `meta.pkl` (its `itos` or `stoi`); from JSON, a list
/// of symbols or an object that gives each its token, as GPT-2's `vocab.json`; or from a `tokenizer.json` of Hugging Face's tokenizers.
///
/// A byte-level vocabulary, as GPT-2's, writes each byte as a visible character: a space as `Ġ`. It is known by having all 256 of
/// these.
///
/// # Errors
/// The file cannot be read, has no such alphabet, or skips or repeats a token or a symbol.
pub fn alphabet(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let bytes = fs::read(path).map_err(Error::io(path))?;
    let symbols = match serde_json::from_slice::<Json>(&bytes) {
        Ok(json) => of_json(&json),
        Err(_) => of_pickle(&bytes),
    };
    symbols.and_then(in_order).map_err(|reason| Error::content(path, reason))
}

const NONE: &str = "has no alphabet: give nanoGPT's meta.pkl, which has `stoi` and `itos`, JSON, a list of symbols in the order of their tokens, or a \
                    tokenizer's vocab.json or tokenizer.json";

fn of_pickle(bytes: &[u8]) -> Result<Vec<(i64, String)>, String> {
    let pickle = Pickle::parse(bytes)?;
    let symbol = |token: &Object, symbol: &Object| Some((token.int()?, symbol.text()?.to_owned()));
    let found = match (pickle.item(pickle.root(), "itos"), pickle.item(pickle.root(), "stoi")) {
        (Some(Object::Dict(items)), _) => {
            items.iter().map(|(token, text)| symbol(pickle.get(*token), pickle.get(*text))).collect()
        }
        (_, Some(Object::Dict(items))) => {
            items.iter().map(|(text, token)| symbol(pickle.get(*token), pickle.get(*text))).collect()
        }
        (Some(Object::List(list)), _) => {
            (0..).zip(list).map(|(token, text)| Some((token, pickle.get(*text).text()?.to_owned()))).collect()
        }
        _ => None,
    };
    found.ok_or_else(|| NONE.to_owned())
}

fn of_json(json: &Json) -> Result<Vec<(i64, String)>, String> {
    let by_symbol = |items: &serde_json::Map<String, Json>| {
        items.iter().map(|(text, token)| Some((token.as_i64()?, text.clone()))).collect::<Option<Vec<_>>>()
    };
    let found = match json {
        Json::Array(list) => (0..).zip(list).map(|(token, text)| Some((token, text.as_str()?.to_owned()))).collect(),
        Json::Object(items) => match json.pointer("/model/vocab").and_then(Json::as_object) {
            Some(vocabulary) => by_symbol(vocabulary).map(|found| with_added(found, &json["added_tokens"])),
            None => by_symbol(items),
        },
        _ => None,
    };
    found.ok_or_else(|| NONE.to_owned())
}

/// A tokenizer's vocabulary with the tokens that were added to it, such as `<|endoftext|>`, if it has not got them already.
fn with_added(mut found: Vec<(i64, String)>, added: &Json) -> Vec<(i64, String)> {
    let mut numbers: HashSet<i64> = found.iter().map(|(number, _)| *number).collect();
    for token in added.as_array().into_iter().flatten() {
        if let (Some(number), Some(text)) = (token["id"].as_i64(), token["content"].as_str())
            && numbers.insert(number)
        {
            found.push((number, text.to_owned()));
        }
    }
    found
}

fn in_order(found: Vec<(i64, String)>) -> Result<Vec<Vec<u8>>, String> {
    let count = found.len();
    if count == 0 || count > MOST_SYMBOLS {
        return Err(format!(
            "has an alphabet of {count} symbols, and there must be at least 1 and at most {MOST_SYMBOLS}"
        ));
    }
    let bytes = byte_characters();
    let single: HashSet<char> = found.iter().filter_map(|(_, text)| single_character(text)).collect();
    let is_byte_level = bytes.keys().all(|character| single.contains(character));
    let symbol = |text: String| match is_byte_level {
        // Added tokens can have characters that stand for no byte: they are themselves.
        true => text
            .chars()
            .flat_map(|one| bytes.get(&one).map_or(one.to_string().into_bytes(), |byte| vec![*byte]))
            .collect(),
        false => text.into_bytes(),
    };
    let by_token: BTreeMap<i64, Vec<u8>> = found.into_iter().map(|(token, text)| (token, symbol(text))).collect();
    let numbered = by_token.keys().copied().eq((0..).take(count));
    let distinct: HashSet<&Vec<u8>> = by_token.values().filter(|symbol| !symbol.is_empty()).collect();
    match numbered && distinct.len() == count {
        true => Ok(by_token.into_values().collect()),
        false => Err(format!(
            "has an alphabet of {count} symbols whose tokens are not 0 to {}, or whose symbols are not different, each once",
            count - 1
        )),
    }
}

fn single_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// The byte that each character of a byte-level vocabulary stands for: visible characters of Latin-1 for themselves, those from
/// U+0100 on, in order, for the other bytes (`bytes_to_unicode` of GPT-2's encoder.py).
fn byte_characters() -> HashMap<char, u8> {
    let is_visible = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = ('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !is_visible(byte)));
    (0..=u8::MAX).filter(is_visible).map(|byte| (char::from(byte), byte)).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("meta");
        fs::write(&path, content).expect("a file");
        let symbols = alphabet(&path).map_err(|error| error.to_string())?;
        Ok(symbols.iter().map(|symbol| String::from_utf8_lossy(symbol)).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn of_a_pickle_and_of_json() {
        // pickle.dumps({'vocab_size': 2, 'itos': {0: 'a', 1: 'b'}, 'stoi': {'a': 0, 'b': 1}}) of Python 3.11.
        let meta = b"\x80\x04\x95:\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\nvocab_size\x94K\x02\x8c\x04itos\x94}\x94(K\x00\x8c\x01a\x94K\x01\x8c\x01b\x94u\x8c\x04stoi\x94}\x94(h\x04K\x00h\x05K\x01uu.";
        assert_eq!(read(meta), Ok("a|b".to_owned()));
        assert_eq!(read(r#"["b","é","\n"]"#.as_bytes()), Ok("b|é|\n".to_owned()));
        assert_eq!(read(br#"{"the ": 1, "a": 0}"#), Ok("a|the ".to_owned()));
    }

    /// Every byte as GPT-2 writes it, numbered by value, and more tokens.
    fn byte_level(more: &[&str]) -> serde_json::Map<String, Json> {
        let mut symbols: Vec<(u8, char)> =
            byte_characters().into_iter().map(|(character, byte)| (byte, character)).collect();
        symbols.sort_unstable();
        let texts = symbols
            .iter()
            .map(|(_, character)| character.to_string())
            .chain(more.iter().map(|text| (*text).to_owned()));
        texts.zip(0..).map(|(text, token)| (text, Json::from(token))).collect()
    }

    #[test]
    fn a_byte_level_vocabulary_is_the_bytes_that_it_writes_as_characters() {
        let vocabulary = byte_level(&["Ġthe", "Ã©", "Ċ€", "<|endoftext|>"]);
        assert_eq!(
            (&vocabulary["Ġ"], &vocabulary["Ċ"], &vocabulary["!"]),
            (&Json::from(32), &Json::from(10), &Json::from(33))
        );
        let text = Json::Object(vocabulary.clone()).to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vocab.json");
        fs::write(&path, &text).expect("a file");
        let symbols = alphabet(&path).expect("a vocabulary");
        assert!((0..=u8::MAX).all(|byte| symbols[usize::from(byte)] == [byte]));
        assert_eq!(symbols[256..], [&b" the"[..], "é".as_bytes(), "\n€".as_bytes(), b"<|endoftext|>"]);
        // The same of a tokenizer.json, whose added tokens may be in the vocabulary already.
        let added = serde_json::json!([{"id": 259, "content": "<|endoftext|>"}, {"id": 260, "content": "<|pad|>"}]);
        fs::write(&path, serde_json::json!({"model": {"vocab": vocabulary}, "added_tokens": added}).to_string())
            .expect("a file");
        let with_added = alphabet(&path).expect("a vocabulary");
        assert_eq!((&with_added[..260], &with_added[260][..]), (&symbols[..], &b"<|pad|>"[..]));
    }

    #[test]
    fn what_is_no_alphabet_is_refused() {
        for (content, said) in [
            (&b"{}"[..], "of 0 symbols"),
            (b"3", "has no alphabet"),
            (b"[\"\"]", "each once"),
            (br#"{"model": {"vocab": [["a", 0.5]]}}"#, "has no alphabet"),
            (br#"["a","a"]"#, "each once"),
            (br#"{"a": 1, "b": 2}"#, "0 to 1"),
            (b"}.", "has no alphabet"),
            (b"text", "pickle"),
        ] {
            let error = read(content).expect_err(said);
            assert!(error.contains(said), "{error}");
        }
    }
}
