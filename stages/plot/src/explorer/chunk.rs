//! Bytes that the page carries compressed.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// One piece of data, as the text of a script element that is not executed.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The element's id.
    pub id: String,
    /// zlib (RFC 1950) in base64.
    pub text: String,
}

impl Chunk {
    /// Compresses bytes.
    pub fn new(id: String, bytes: &[u8]) -> Self {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        let compressed = encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes every byte");
        Self { id, text: STANDARD.encode(compressed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_chunk_unpacks_to_its_bytes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let chunk = Chunk::new("c".into(), &bytes);
        let mut unpacked = Vec::new();
        let compressed = STANDARD.decode(&chunk.text).expect("base64");
        flate2::read::ZlibDecoder::new(&compressed[..]).read_to_end(&mut unpacked).expect("zlib");
        assert!(unpacked == bytes && chunk.text.len() < 2000);
    }
}
