//! The checksum in a file's footer: the CRC-32 of all of its bytes, its own eight digits taken as zeros. A flipped byte anywhere,
//! in pages, indexes or the footer itself, is noticed when the file is opened.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use atomic_file::AtomicFile;

/// The footer's key.
pub(crate) const KEY: &str = "crc32";

/// What is in place of the digits while the sum is computed.
pub(crate) const BLANK: &str = "00000000";

/// The key and what Thrift's compact protocol has between a key and its value, a string of eight bytes.
const BEFORE_DIGITS: &[u8] = b"crc32\x18\x08";

/// The last bytes of a Parquet file: the footer's length, and the magic number.
const TAIL: u64 = 8;

/// A file that is being written, and the sum of what was written.
pub(crate) struct Summed {
    file: AtomicFile,
    sum: crc32fast::Hasher,
}

impl Summed {
    pub(crate) fn new(file: AtomicFile) -> Self {
        Self { file, sum: crc32fast::Hasher::new() }
    }

    /// Writes the sum's digits into the footer, and gives the file its name.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        let digits =
            digits(&mut self.file)?.ok_or_else(|| io::Error::other("the footer has no place for the checksum"))?;
        self.file.seek(SeekFrom::Start(digits.start))?;
        self.file.write_all(format!("{:08x}", self.sum.finalize()).as_bytes())?;
        self.file.commit()
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What a file's bytes say.
pub(crate) struct Sums {
    /// The BLAKE3 hash of all bytes.
    pub(crate) blake3: blake3::Hash,
    /// The checksum of the footer and the one of the file, as digits; none where the footer has none.
    pub(crate) crc32: Option<[String; 2]>,
}

impl Sums {
    /// Reads a whole file once.
    pub(crate) fn of(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let digits = digits(file)?;
        let (blank, end) = (digits.clone().unwrap_or(0..0), file.seek(SeekFrom::End(0))?);
        let (mut blake3, mut crc32, mut said) = (blake3::Hasher::new(), crc32fast::Hasher::new(), String::new());
        file.rewind()?;
        // A part at a time stays in the cache between the two sums.
        let mut buffer = vec![0; 1 << 17];
        for part in [0..blank.start, blank.clone(), blank.end..end] {
            let mut left = part.end - part.start;
            while left > 0 {
                let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let read = &mut buffer[..room];
                file.read_exact(read)?;
                blake3.update(read);
                if part == blank {
                    said = String::from_utf8_lossy(read).into_owned();
                    crc32.update(BLANK.as_bytes());
                } else {
                    crc32.update(read);
                }
                left -= room as u64;
            }
        }
        let crc32 = digits.map(|_| [said, format!("{:08x}", crc32.finalize())]);
        Ok(Self { blake3: blake3.finalize(), crc32 })
    }
}

/// Where the digits are; none where no footer has them.
fn digits(file: &mut (impl Read + Seek)) -> io::Result<Option<Range<u64>>> {
    let end = file.seek(SeekFrom::End(0))?;
    let Some(tail) = end.checked_sub(TAIL) else { return Ok(None) };
    let mut length = [0; 4];
    file.seek(SeekFrom::Start(tail))?;
    file.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    let Some(start) = tail.checked_sub(length.into()) else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(length.into()).read_to_end(&mut footer)?;
    let found = footer.windows(BEFORE_DIGITS.len() + BLANK.len()).rposition(|bytes| bytes.starts_with(BEFORE_DIGITS));
    Ok(found.map(|position| {
        let first = start + (position + BEFORE_DIGITS.len()) as u64;
        first..first + BLANK.len() as u64
    }))
}

/// Writes the right digits into a file that has changed, for tests; one whose footer has none stays as it is.
pub(crate) fn reseal(file: &mut (impl Read + Write + Seek)) -> io::Result<()> {
    let Some([_, right]) = Sums::of(file)?.crc32 else { return Ok(()) };
    if let Some(digits) = digits(file)? {
        file.seek(SeekFrom::Start(digits.start))?;
        file.write_all(right.as_bytes())?;
    }
    Ok(())
}
