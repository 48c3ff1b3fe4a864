//! Verification of a file by size and hash.

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// The expected size and hash of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The size in bytes.
    pub size: u64,
    /// The hash.
    pub digest: Digest,
}

/// A hash, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq)]
pub enum Digest {
    /// SHA-256.
    Sha256(String),
    /// MD5, which detects damage but no forgery, where the publisher gives no other hash.
    Md5(String),
}

impl Expected {
    /// Verifies some bytes.
    ///
    /// # Errors
    /// What was found and what was expected, without the subject: "has 12 bytes, expected 14".
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.size {
            return Err(format!("has {} bytes, expected {}", bytes.len(), self.size));
        }
        let (name, expected, found) = match &self.digest {
            Digest::Sha256(expected) => ("SHA-256", expected, hexadecimal(&Sha256::digest(bytes))),
            Digest::Md5(expected) => ("MD5", expected, hexadecimal(&Md5::digest(bytes))),
        };
        if *expected == found { Ok(()) } else { Err(format!("has {name} {found}, expected {expected}")) }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_hash_are_verified() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let abc = Expected { size: 3, digest: Digest::Sha256(sha256) };
        assert_eq!(abc.check(b"abc"), Ok(()));
        assert!(abc.check(b"abcd").expect_err("too long").contains("has 4 bytes"));
        assert!(abc.check(b"abd").expect_err("other bytes").contains("SHA-256"));
        let abc = Expected { size: 3, digest: Digest::Md5("900150983cd24fb0d6963f7d28e17f72".to_owned()) };
        assert_eq!(abc.check(b"abc"), Ok(()));
    }
}
