//! The texts of the study: where they come from, what their bytes are and how they are split.

use declarations::Encoding;

use crate::control;
use crate::digest::{Digest, Expected};
use crate::download::Download;

/// A text that this program knows.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// How it is read.
    pub encoding: Encoding,
    /// The leading share that is learned from.
    pub train_fraction: f64,
    /// The share after it that is validated on.
    pub val_fraction: f64,
    /// Where its bytes are.
    pub origin: Origin,
}

/// Where a known text's bytes are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In this program.
    Embedded(&'static [u8], Expected),
    /// Made by this program whenever they are wanted.
    Made(fn() -> Vec<u8>, Expected),
    /// On the network, until they are in the data folder.
    Remote(Download),
}

impl Origin {
    /// What the text's bytes must be.
    pub fn expected(&self) -> &Expected {
        match self {
            Origin::Embedded(_, expected) | Origin::Made(_, expected) => expected,
            Origin::Remote(download) => &download.plain,
        }
    }
}

/// The names of the known texts.
pub const NAMES: [&str; 6] = ["shakespeare_char", "enwik8", "text8", "control_lag", "control_copy", "control_shuffled"];

/// Tiny Shakespeare, checked by the build script and checked again whenever it is read.
static SHAKESPEARE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shakespeare_char.txt"));

/// The places that have `<name>.zip`, the canonical one first. What they send is checked by its hash, so an unsafe
/// connection is no danger.
fn mirrors(name: &str) -> Vec<String> {
    ["http://mattmahoney.net/dc/", "https://web.archive.org/web/2024id_/http://mattmahoney.net/dc/"]
        .map(|folder| format!("{folder}{name}.zip"))
        .to_vec()
}

/// What is known of a text, if it is one of [`NAMES`].
pub fn known(name: &str) -> Option<Dataset> {
    let sha256 = |size, hash: &str| Expected { size, digest: Digest::Sha256(hash.to_owned()) };
    let made = |make, size, hash| Dataset {
        encoding: Encoding::Utf8,
        train_fraction: 0.9,
        val_fraction: 0.1,
        origin: Origin::Made(make, sha256(size, hash)),
    };
    let wikipedia = |zip: Expected, plain: Expected| Dataset {
        encoding: Encoding::Bytes,
        // Of 100,000,000 characters: the last 5,000,000 are for tests, the 5,000,000 before them for validation.
        train_fraction: 0.9,
        val_fraction: 0.05,
        origin: Origin::Remote(Download { name: name.to_owned(), urls: mirrors(name), zip, plain }),
    };
    match name {
        "shakespeare_char" => Some(Dataset {
            encoding: Encoding::Utf8,
            train_fraction: 0.9,
            val_fraction: 0.1,
            origin: Origin::Embedded(
                SHAKESPEARE,
                sha256(1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
            ),
        }),
        "enwik8" => Some(wikipedia(
            sha256(36_445_475, "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc"),
            sha256(100_000_000, "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8"),
        )),
        "text8" => Some(wikipedia(
            sha256(31_344_016, "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232"),
            Expected { size: 100_000_000, digest: Digest::Md5("3bea1919949baf155f99411df5fada7e".to_owned()) },
        )),
        "control_lag" => {
            Some(made(control::lag, 1_000_000, "a753a5b9664f3d6e8211c80035932b0eabb1869affafc2103729b275cbaa510d"))
        }
        "control_copy" => {
            Some(made(control::copy, 1_000_000, "6c925e9722c88154eb72d97db985a2a2d7f4b80a9cd4612c8ea0447dd2331879"))
        }
        "control_shuffled" => Some(made(
            || control::shuffled(SHAKESPEARE),
            1_115_394,
            "b3ce3ca00a3beb86140b066c2abf2685773346c4fda76062a186ef4cad07676a",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_text_is_the_canonical_one() {
        let Some(Origin::Embedded(bytes, expected)) = known("shakespeare_char").map(|dataset| dataset.origin) else {
            panic!("shakespeare_char is embedded");
        };
        assert_eq!(expected.check(bytes), Ok(()));
        assert!(bytes.starts_with(b"First Citizen:\nBefore we proceed any further, hear me speak."));
    }

    #[test]
    fn what_is_made_is_always_the_same() {
        for name in NAMES {
            if let Some(Origin::Made(make, expected)) = known(name).map(|dataset| dataset.origin) {
                assert_eq!(expected.check(&make()), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn every_name_is_known_and_nothing_else() {
        assert!(NAMES.iter().all(|name| known(name).is_some() && declarations::file_name(name).is_ok()));
        assert!(known("enwik9").is_none());
    }
}
