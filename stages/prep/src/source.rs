//! Reading a text, and saying what a file is that is none.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use declarations::Fault;

/// A kind of file that is no plain text: what it is, and what to do with the file at a path.
struct Kind {
    what: &'static str,
    advice: fn(&str) -> String,
}

/// The first bytes of files that are no plain text.
const MAGIC_NUMBERS: [(&[u8], Kind); 14] = [
    (b"\x1f\x8b", Kind { what: "gzip-compressed", advice: |path| unpack_to_text("gunzip", path) }),
    (b"\x28\xb5\x2f\xfd", Kind { what: "zstd-compressed", advice: |path| unpack_to_text("unzstd", path) }),
    (b"\xfd7zXZ\0", Kind { what: "xz-compressed", advice: |path| unpack_to_text("unxz", path) }),
    (b"BZh", Kind { what: "bzip2-compressed", advice: |path| unpack_to_text("bunzip2", path) }),
    (b"\x04\x22\x4d\x18", Kind { what: "lz4-compressed", advice: |path| unpack_to_text("unlz4", path) }),
    (b"PK\x03\x04", Kind { what: "a zip archive", advice: |path| unpack_by(&format!("unzip {path}")) }),
    (b"PK\x05\x06", Kind { what: "a zip archive without files", advice: |_| "give the text itself".to_owned() }),
    (b"7z\xbc\xaf\x27\x1c", Kind { what: "a 7z archive", advice: |path| unpack_by(&format!("7z x {path}")) }),
    (b"%PDF-", Kind { what: "a PDF", advice: |path| unpack_by(&format!("pdftotext {path}")) }),
    (b"PAR1", Kind { what: "a Parquet file", advice: |_| "give a text file".to_owned() }),
    // UTF-32 before UTF-16, of which one has the same first bytes.
    (b"\xff\xfe\0\0", Kind { what: "text in UTF-32", advice: |path| convert_from("UTF-32", path) }),
    (b"\0\0\xfe\xff", Kind { what: "text in UTF-32", advice: |path| convert_from("UTF-32", path) }),
    (b"\xff\xfe", Kind { what: "text in UTF-16", advice: |path| convert_from("UTF-16", path) }),
    (b"\xfe\xff", Kind { what: "text in UTF-16", advice: |path| convert_from("UTF-16", path) }),
];

/// Kinds without a magic number at the start.
const TAR: Kind = Kind { what: "a tar archive", advice: |path| unpack_by(&format!("tar -xf {path}")) };
const LITTLE_ENDIAN: Kind =
    Kind { what: "text in UTF-16 (little-endian)", advice: |path| convert_from("UTF-16LE", path) };
const BIG_ENDIAN: Kind = Kind { what: "text in UTF-16 (big-endian)", advice: |path| convert_from("UTF-16BE", path) };

fn unpack_by(command: &str) -> String {
    format!("decompress it by `{command}` and give the text that it holds")
}

/// To standard output, since the tools refuse files without their suffix.
fn unpack_to_text(tool: &str, path: &str) -> String {
    format!("decompress it by `{tool} -c < {path} > text.txt` and give text.txt")
}

fn convert_from(encoding: &str, path: &str) -> String {
    format!("convert it by `iconv -f {encoding} -t UTF-8 {path} > text.txt` and give text.txt")
}

/// The bytes of a file.
///
/// # Errors
/// An input fault if it is missing, a folder, a device or empty, or cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Fault::input(format!("cannot read {shown}: {error}"));
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Err(Fault::input(format!(
            "{shown} is a folder, and a dataset is one text file: give one of its files, or join them by `cat {shown}/*.txt > \
             text.txt` and give text.txt"
        )));
    }
    // A pipe ends; a device such as /dev/zero need not.
    if kind.is_char_device() || kind.is_block_device() {
        return Err(Fault::input(format!("{shown} is a device: give a text file")));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    if bytes.is_empty() {
        return Err(Fault::input(format!("{shown} is empty: give a file with a text")));
    }
    Ok(bytes)
}

/// That a file is no plain text, but what it is, and what to do; none if nothing is known against it.
pub(crate) fn not_text(path: &Path, bytes: &[u8]) -> Option<Fault> {
    let kind = kind(bytes)?;
    let shown = path.display().to_string();
    // As a shell takes it.
    let plain = |character: char| character.is_alphanumeric() || "/._-+,=@".contains(character);
    let quoted = if shown.chars().all(plain) { shown.clone() } else { format!("'{}'", shown.replace('\'', "'\\''")) };
    Some(Fault::input(format!("{shown} is {}: {}", kind.what, (kind.advice)(&quoted))))
}

fn kind(bytes: &[u8]) -> Option<&'static Kind> {
    /// Where a tar archive has its magic number.
    const TAR_AT: usize = 257;
    let known = MAGIC_NUMBERS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| kind);
    let is_tar = || bytes.get(TAR_AT..).is_some_and(|rest| rest.starts_with(b"ustar")).then_some(&TAR);
    known.or_else(is_tar).or_else(|| utf16(bytes))
}

/// UTF-16 without a byte order mark, as which text of mostly Latin letters is recognised: every other byte is zero.
fn utf16(bytes: &[u8]) -> Option<&'static Kind> {
    const PAIRS: usize = 512;
    let pairs: Vec<&[u8]> = bytes.chunks_exact(2).take(PAIRS).collect();
    let zeros = |position: usize| pairs.iter().filter(|pair| pair[position] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let most = pairs.len() * 9 / 10;
    match (first, second) {
        _ if pairs.len() < 2 => None,
        (0, zeros) if zeros > most => Some(&LITTLE_ENDIAN),
        (zeros, 0) if zeros > most => Some(&BIG_ENDIAN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> Option<String> {
        not_text(Path::new("my.txt"), bytes).map(|fault| fault.to_string())
    }

    #[test]
    fn a_file_that_is_no_text_is_named_with_what_to_do() {
        let utf16 = |to_bytes: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
            format!("{mark}Être ou ne pas être").encode_utf16().flat_map(to_bytes).collect()
        };
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\0");
        for (bytes, expected) in [
            (
                b"\x1f\x8b\x08\0\0".to_vec(),
                "my.txt is gzip-compressed: decompress it by `gunzip -c < my.txt > text.txt`",
            ),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), "is zstd-compressed: decompress it by `unzstd -c < my.txt > text.txt`"),
            (b"\xfd7zXZ\0\0\x04".to_vec(), "is xz-compressed"),
            (b"BZh91AY&SY".to_vec(), "is bzip2-compressed"),
            (b"PK\x03\x04\x14".to_vec(), "is a zip archive: decompress it by `unzip my.txt`"),
            (b"%PDF-1.7".to_vec(), "is a PDF"),
            (b"PAR1".to_vec(), "is a Parquet file"),
            (tar, "is a tar archive"),
            (utf16(u16::to_le_bytes, "\u{feff}"), "is text in UTF-16: convert it by `iconv -f UTF-16 -t UTF-8 my.txt"),
            (utf16(u16::to_be_bytes, "\u{feff}"), "is text in UTF-16: "),
            (utf16(u16::to_le_bytes, ""), "is text in UTF-16 (little-endian): convert it by `iconv -f UTF-16LE"),
            (utf16(u16::to_be_bytes, ""), "is text in UTF-16 (big-endian): convert it by `iconv -f UTF-16BE"),
            (b"\xff\xfe\0\0a\0\0\0".to_vec(), "is text in UTF-32"),
        ] {
            let said = said(&bytes).expect(expected);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_command_names_the_file_as_a_shell_takes_it() {
        let fault = not_text(Path::new("my text's.gz"), b"\x1f\x8b").expect("gzip").to_string();
        assert!(fault.contains(r"`gunzip -c < 'my text'\''s.gz' > text.txt`"), "{fault}");
    }

    #[test]
    fn text_is_text() {
        for text in ["", "a", "ab\n", "Être", "BZ is no archive", "PK", "a\0b\0\0c", "\u{feff}with a mark"] {
            assert_eq!(said(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn folders_devices_and_empty_files_are_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fault = |path: &Path| read(path).expect_err("no text").to_string();
        let empty = folder.path().join("empty.txt");
        fs::write(&empty, "").expect("a file");
        assert!(fault(folder.path()).contains("is a folder, and a dataset is one text file"));
        assert!(fault(&empty).contains("empty.txt is empty"));
        assert!(fault(Path::new("/dev/zero")).contains("is a device"));
        assert!(fault(&folder.path().join("missing.txt")).contains("cannot read"));
    }
}
