//! The alphabet of a character-level model.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::Error;
use crate::pickle::{Object, Pickle};

/// Symbols that tokens of 16 bits can number.
pub const MOST_SYMBOLS: usize = 1 << 16;

/// The symbols of a model in the order of their tokens, from nanoGPT's `meta.pkl` (its `itos` or `stoi`), or from JSON: a list of
/// symbols, or an object that gives each its token.
///
/// # Errors
/// The file cannot be read, has no such alphabet, skips or repeats a token, or has a symbol of more than one character, as
/// vocabularies of subwords do.
pub fn alphabet(path: &Path) -> Result<Vec<char>, Error> {
    let bytes = fs::read(path).map_err(Error::io(path))?;
    let symbols = match serde_json::from_slice::<Json>(&bytes) {
        Ok(json) => of_json(&json),
        Err(_) => of_pickle(&bytes),
    };
    symbols.and_then(in_order).map_err(|reason| Error::content(path, reason))
}

const NONE: &str = "has no alphabet: give nanoGPT's meta.pkl, which has `stoi` and `itos`, or JSON, a list of symbols in the order of their tokens";

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
    let found = match json {
        Json::Array(list) => (0..).zip(list).map(|(token, text)| Some((token, text.as_str()?.to_owned()))).collect(),
        Json::Object(items) => items.iter().map(|(text, token)| Some((token.as_i64()?, text.clone()))).collect(),
        _ => None,
    };
    found.ok_or_else(|| NONE.to_owned())
}

fn in_order(found: Vec<(i64, String)>) -> Result<Vec<char>, String> {
    let count = found.len();
    if count == 0 || count > MOST_SYMBOLS {
        return Err(format!(
            "has an alphabet of {count} symbols, and there must be at least 1 and at most {MOST_SYMBOLS}"
        ));
    }
    let mut by_token = BTreeMap::new();
    for (token, text) in found {
        let mut characters = text.chars();
        let (Some(symbol), None) = (characters.next(), characters.next()) else {
            return Err(format!(
                "has the symbol {text:?} for the token {token}, and only alphabets of single characters are supported: subwords \
                 (BPE) are not"
            ));
        };
        by_token.insert(token, symbol);
    }
    let symbols: Vec<char> = by_token.values().copied().collect();
    let numbered = by_token.keys().copied().eq((0..).take(count));
    let mut distinct = symbols.clone();
    distinct.sort_unstable();
    distinct.dedup();
    match numbered && distinct.len() == count {
        true => Ok(symbols),
        false => Err(format!("has an alphabet of {count} symbols whose tokens are not 0 to {}, each once", count - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("meta");
        fs::write(&path, content).expect("a file");
        alphabet(&path).map(|symbols| symbols.iter().collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn of_a_pickle_and_of_json() {
        // pickle.dumps({'vocab_size': 2, 'itos': {0: 'a', 1: 'b'}, 'stoi': {'a': 0, 'b': 1}}) of Python 3.11.
        let meta = b"\x80\x04\x95:\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\nvocab_size\x94K\x02\x8c\x04itos\x94}\x94(K\x00\x8c\x01a\x94K\x01\x8c\x01b\x94u\x8c\x04stoi\x94}\x94(h\x04K\x00h\x05K\x01uu.";
        assert_eq!(read(meta), Ok("ab".to_owned()));
        assert_eq!(read(r#"["b","é","\n"]"#.as_bytes()), Ok("bé\n".to_owned()));
        assert_eq!(read(br#"{"b": 1, "a": 0}"#), Ok("ab".to_owned()));
    }

    #[test]
    fn what_is_no_alphabet_is_refused() {
        for (content, said) in [
            (&b"{}"[..], "of 0 symbols"),
            (b"3", "has no alphabet"),
            (b"[\"ab\"]", "\"ab\" for the token 0"),
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
