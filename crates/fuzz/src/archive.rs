//! A zip archive that lies in the data folder.

use std::fs;
use std::io::{Cursor, Write};

use cli::Terminal;
use prep::digest::{Digest, Expected};
use prep::download::{Download, obtain};
use sha2::Digest as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{Target, empty, nothing_outside, scratch};

/// An input is the archive: its hash is right whatever it holds, as of a publisher who cannot be trusted.
pub const TARGET: Target = Target { read, seeds };

pub(crate) const NAME: &str = "text";

pub(crate) const TEXT: &[u8] = b"To be, or not to be, that is the question. To be, or not to be.";

pub(crate) fn expected(bytes: &[u8]) -> Expected {
    let sha256 = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Expected { size: bytes.len() as u64, digest: Digest::Sha256(sha256) }
}

fn read(data: &[u8]) {
    empty();
    fs::write(scratch().join("text.zip"), data).expect("a scratch file");
    let download = Download { name: NAME.to_owned(), urls: Vec::new(), zip: expected(data), plain: expected(TEXT) };
    if let Ok(text) = obtain(&download, scratch(), &Terminal::silent()) {
        assert!(text == TEXT, "another text was taken for the right one");
    }
    nothing_outside();
    let strange = fs::read_dir(scratch()).expect("it is there").flatten().map(|entry| entry.file_name());
    let strange: Vec<_> = strange.filter(|name| name != NAME && name != "text.zip").collect();
    assert!(strange.is_empty(), "{strange:?}");
}

pub(crate) fn packed(entries: &[&str], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*entry, options).expect("an entry");
        archive.write_all(TEXT).expect("the archive is in memory");
    }
    archive.finish().expect("the archive is in memory").into_inner()
}

fn seeds() -> Vec<Vec<u8>> {
    let (deflated, stored) = (CompressionMethod::Deflated, CompressionMethod::Stored);
    vec![
        packed(&[NAME], deflated),
        packed(&[NAME], stored),
        packed(&["../evil", NAME, "/etc/evil"], deflated),
        packed(&["folder/", "folder/text"], stored),
    ]
}
