//! A column of lists of float32, page by page.
//!
//! Parquet marks where a list begins by a level beside every value. The general decoder lays these levels out, two bytes a
//! value and twice over, before it reads them, and copies the values: on attention that takes longer than to decompress it.
//! Levels are stored as runs, and here they are read as runs.

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};

/// Lists, one after the other.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Lists {
    /// How many values each has.
    pub(crate) lengths: Vec<usize>,
    /// The values of all of them.
    pub(crate) values: Vec<f32>,
}

/// Reads lists of which none is empty and none is null, as [`crate::Writer`] writes them; none if they are encoded in another way.
/// Room is made for `rows` lists and `values` values.
///
/// # Errors
/// In words, what is wrong with the pages.
pub(crate) fn read(mut pages: impl PageReader, rows: usize, values: usize) -> Result<Option<Lists>, String> {
    let mut lists = Lists { lengths: Vec::with_capacity(rows), values: Vec::with_capacity(values) };
    while let Some(page) = pages.get_next_page().map_err(|error| error.to_string())? {
        match page {
            Page::DataPage {
                buf,
                num_values,
                encoding: Encoding::BYTE_STREAM_SPLIT,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                ..
            } => usize::try_from(num_values)
                .ok()
                .and_then(|count| lists.extend(&buf, count))
                .ok_or("its lists do not decode")?,
            _ => return Ok(None),
        }
    }
    Ok(Some(lists))
}

impl Lists {
    /// Appends the content of one page: repetition levels, definition levels, values. A list may have begun on the page before.
    fn extend(&mut self, page: &[u8], count: usize) -> Option<()> {
        let (repetitions, rest) = levels(page)?;
        let (definitions, values) = levels(rest)?;
        // First of all: a page has as many values as it has bytes for, whatever its header says.
        self.values.extend(joined(values, count)?);
        for_each_run(repetitions, count, |within, length| {
            if within {
                *self.lengths.last_mut()? += length;
            } else {
                self.lengths.resize(self.lengths.len() + length, 1);
            }
            Some(())
        })?;
        for_each_run(definitions, count, |defined, _| defined.then_some(()))
    }
}

/// The levels that a page begins with, and what follows them.
fn levels(page: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = page.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Walks so many levels of one bit in Parquet's hybrid of run lengths and packed bits. The last pack is filled up to a byte.
fn for_each_run(mut bytes: &[u8], count: usize, mut run: impl FnMut(bool, usize) -> Option<()>) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let header = varint(&mut bytes)?;
        if header & 1 == 0 {
            let (level, length) = (take(&mut bytes)?, header >> 1);
            if level > 1 || length > left {
                return None;
            }
            run(level == 1, length)?;
            left -= length;
            continue;
        }
        for _ in 0..header >> 1 {
            if left == 0 {
                break;
            }
            let packed = take(&mut bytes)?;
            let here = left.min(8);
            (0..here).try_for_each(|bit| run(packed >> bit & 1 == 1, 1))?;
            left -= here;
        }
    }
    Some(())
}

/// An unsigned number of seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let byte = take(bytes)?;
        number |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// So many float32 of which the first bytes lie side by side, then the second, the third and the fourth.
fn joined(split: &[u8], count: usize) -> Option<impl Iterator<Item = f32> + '_> {
    if split.len() != 4 * count {
        return None;
    }
    let ((first, second), (third, fourth)) = (split[..2 * count].split_at(count), split[2 * count..].split_at(count));
    let bytes = first.iter().zip(second).zip(third.iter().zip(fourth));
    Some(bytes.map(|((&a, &b), (&c, &d))| f32::from_le_bytes([a, b, c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of the values 1.0, 2.0, 3.0 and 4.0, whose levels are these bytes.
    fn page(repetitions: &[u8], definitions: &[u8]) -> Vec<u8> {
        let values = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes);
        let mut page = Vec::new();
        for levels in [repetitions, definitions] {
            page.extend((levels.len() as u32).to_le_bytes());
            page.extend(levels);
        }
        page.extend((0..4).flat_map(|byte| values.map(|value| value[byte])));
        page
    }

    /// A run of four, and four levels packed in a byte: 0, 1, 1, 0.
    const ALL: &[u8] = &[8, 1];
    const PACKED: &[u8] = &[3, 0b0110];

    #[test]
    fn levels_are_runs_or_packed() {
        let expected = Lists { lengths: vec![3, 1], values: vec![1.0, 2.0, 3.0, 4.0] };
        for repetitions in [PACKED, &[2, 0, 4, 1, 2, 0], &[2, 0, 3, 0b1111_1011]] {
            let mut lists = Lists::default();
            assert_eq!(lists.extend(&page(repetitions, ALL), 4), Some(()));
            assert_eq!(lists, expected, "{repetitions:?}");
        }
    }

    #[test]
    fn a_list_goes_on_on_the_next_page() {
        let mut lists = Lists::default();
        assert_eq!(lists.extend(&page(PACKED, ALL), 4), Some(()));
        assert_eq!(lists.extend(&page(&[8, 1], ALL), 4), Some(()));
        assert_eq!((lists.lengths, lists.values.len()), (vec![3, 5], 8));
        assert_eq!(Lists::default().extend(&page(&[8, 1], ALL), 4), None, "there is no list to go on");
    }

    #[test]
    fn long_runs_and_several_packs_are_walked_to_their_end() {
        let walked = |bytes: &[u8], count: usize| {
            let mut levels = Vec::new();
            for_each_run(bytes, count, |level, length| {
                levels.resize(levels.len() + length, level);
                Some(())
            })
            .map(|()| levels)
        };
        // A run of 300 takes two bytes to say; then two packs of eight, the second filled up.
        let levels = walked(&[0xD8, 0x04, 1, 5, 0b1010_1010, 0b0000_0011], 300 + 10).expect("whole");
        assert!(levels[..300].iter().all(|level| *level));
        assert_eq!(levels[300..], [false, true, false, true, false, true, false, true, true, true]);
        assert_eq!(walked(&[0, 1, 0, 1, 4, 1], 2), Some(vec![true; 2]), "runs of nothing");
        assert_eq!(walked(&[6, 1], 2), None, "a run beyond the end");
        assert_eq!(walked(&[4, 2], 2), None, "a level that there is not");
    }

    #[test]
    fn a_page_that_promises_more_than_it_holds_takes_no_memory() {
        // A run of two thousand million new lists.
        let mut lists = Lists::default();
        assert_eq!(lists.extend(&page(&[0x80, 0x80, 0x80, 0x80, 0x0F, 0], ALL), 1 << 31), None);
        assert!(lists.lengths.is_empty());
    }

    #[test]
    fn what_does_not_decode_is_refused() {
        let whole = page(PACKED, ALL);
        for end in 0..whole.len() {
            assert_eq!(Lists::default().extend(&whole[..end], 4), None, "cut at {end}");
        }
        assert_eq!(Lists::default().extend(&whole, 5), None, "more values than there are");
        assert_eq!(Lists::default().extend(&page(PACKED, &[3, 0b1011]), 4), None, "an empty list");
        assert_eq!(Lists::default().extend(&page(&[0x80; 6], ALL), 4), None, "a number without end");
    }
}
