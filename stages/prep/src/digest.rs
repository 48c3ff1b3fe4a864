//! Whether a file is the file that it should be.

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// What a file's bytes must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Their number.
    pub size: u64,
    /// Their hash.
    pub digest: Digest,
}

/// A hash, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq)]
pub enum Digest {
    /// SHA-256.
    Sha256(String),
    /// MD5: against damage only, where the publisher gives no other hash.
    Md5(String),
}

impl Expected {
    /// Whether the bytes are those.
    ///
    /// # Errors
    /// What was expected and what was found, as half a sentence: "has 12 bytes where …".
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.size {
            return Err(format!("has {} bytes where {} are expected", bytes.len(), self.size));
        }
        let (name, expected, found) = match &self.digest {
            Digest::Sha256(expected) => ("SHA-256", expected, hexadecimal(&Sha256::digest(bytes))),
            Digest::Md5(expected) => ("MD5", expected, hexadecimal(&Md5::digest(bytes))),
        };
        if *expected == found { Ok(()) } else { Err(format!("has {name} {found} where {expected} is expected")) }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_held_against_size_and_hash() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let abc = Expected { size: 3, digest: Digest::Sha256(sha256) };
        assert_eq!(abc.check(b"abc"), Ok(()));
        assert!(abc.check(b"abcd").expect_err("too long").contains("has 4 bytes"));
        assert!(abc.check(b"abd").expect_err("other bytes").contains("SHA-256"));
        let abc = Expected { size: 3, digest: Digest::Md5("900150983cd24fb0d6963f7d28e17f72".to_owned()) };
        assert_eq!(abc.check(b"abc"), Ok(()));
    }
}
