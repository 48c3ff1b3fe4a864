//! What will matter of a text: properties that people find out late, each in one line with what to do.

use memchr::memmem;
use schemas::enums::{Split, TextNote};
use schemas::tables::TextNotes;

use crate::reading::Splits;
use crate::semantic_space::Space;
use crate::vocabulary::Vocabulary;

/// A symbol that occurs less often is hardly learned.
const RARE: u64 = 10;

/// The share of symbols from which on rare ones are noted.
const MANY_RARE: f64 = 0.1;

/// The share of words that are different from which on scores of words mean little. Of a megabyte in languages with words it is
/// below a quarter; of DNA and of Chinese, whose runs of letters are no words, nearly all are different.
const MANY_DIFFERENT: f64 = 0.5;

/// What separates documents in one file.
const SEPARATORS: [(&str, &str); 4] = [
    ("<|endoftext|>", "<|endoftext|>"),
    ("\n*** START OF TH", "Project Gutenberg's headers"),
    ("\x0c", "form feeds"),
    ("\n</doc>", "</doc>"),
];

/// What `prep` has found out about a text.
pub struct Findings<'all> {
    /// The text's bytes.
    pub bytes: &'all [u8],
    /// The splits.
    pub splits: &'all Splits<'all>,
    /// The symbols.
    pub vocabulary: &'all Vocabulary,
    /// The semantic space.
    pub space: &'all Space,
    /// Segments of the train split, and those that the space is of.
    pub segments: [usize; 2],
}

impl Findings<'_> {
    /// The notes, in the order of [`TextNote`].
    pub fn notes(&self) -> Vec<TextNotes> {
        let mut notes: Vec<TextNotes> =
            [self.byte_order_mark(), self.carriage_returns(), self.documents(), self.one_symbol()]
                .into_iter()
                .flatten()
                .collect();
        notes.extend(self.unseen());
        notes.extend([self.rare(), self.words(), self.sampled()].into_iter().flatten());
        notes
    }

    fn byte_order_mark(&self) -> Option<TextNotes> {
        self.bytes.starts_with(b"\xef\xbb\xbf").then(|| {
            note(
                TextNote::ByteOrderMark,
                1,
                None,
                "the file starts with a byte order mark, which is part of the text: remove it",
            )
        })
    }

    fn carriage_returns(&self) -> Option<TextNotes> {
        let all = memchr::memchr_iter(b'\r', self.bytes).count();
        let line_ends = memmem::find_iter(self.bytes, "\r\n").count();
        let what = match (line_ends, all - line_ends) {
            (0, 0) => return None,
            (ends, 0) => format!("{ends} lines end in CR LF"),
            (0, stray) => format!("there are {stray} carriage returns that end no line"),
            (ends, stray) => format!("{ends} lines end in CR LF, and there are {stray} other carriage returns"),
        };
        let message =
            format!("{what}: CR is a symbol of its own that is learned and generated; remove it by tr -d '\\r'");
        Some(note(TextNote::CarriageReturns, all as u64, None, &message))
    }

    fn documents(&self) -> Option<TextNotes> {
        let count = |separator: &str| memmem::find_iter(self.bytes, separator).count();
        let (of, separators) =
            SEPARATORS.iter().map(|(separator, name)| (name, count(separator))).max_by_key(|(_, count)| *count)?;
        let lines = || self.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let is_json = |line: &[u8]| line.starts_with(b"{\"") && line.trim_ascii_end().ends_with(b"}");
        let json = if lines().take(20).all(is_json) { lines().filter(|line| is_json(line)).count() } else { 0 };
        if json > 1 {
            let message =
                format!("the file is {json} lines of JSON, whose syntax is learned too: give the text that is in them");
            return Some(note(TextNote::ManyDocuments, json as u64, None, &message));
        }
        (separators > 1).then(|| {
            let message = format!(
                "the file has many documents ({separators} times {of}): splits follow its order, so shuffle the documents unless \
                 that is meant; windows cross from one to the next"
            );
            note(TextNote::ManyDocuments, separators as u64, None, &message)
        })
    }

    fn one_symbol(&self) -> Option<TextNotes> {
        let one = self.vocabulary.rows().len() == 1;
        one.then(|| {
            note(
                TextNote::OneSymbol,
                1,
                None,
                "the text has one symbol: there is nothing to learn, and every loss is 0",
            )
        })
    }

    /// Of the validation and the test split.
    fn unseen(&self) -> impl Iterator<Item = TextNotes> {
        let splits = [(Split::Val, self.splits.val), (Split::Test, self.splits.test)];
        splits.into_iter().zip(self.vocabulary.unseen()).filter(|(_, (symbols, _))| *symbols > 0).map(
            |((split, text), (symbols, positions))| {
                let share = positions as f64 / text.characters() as f64;
                let message = format!(
                    "{symbols} symbols of the {split} split do not occur in the train split, and have {} of its positions: no \
                     training can predict them",
                    percent(share)
                );
                note(TextNote::UnseenSymbols, symbols, Some(share), &message)
            },
        )
    }

    fn rare(&self) -> Option<TextNotes> {
        let rows = self.vocabulary.rows();
        let rare = rows.iter().filter(|row| (1..RARE).contains(&row.train_count)).count();
        let share = rare as f64 / rows.len() as f64;
        (share >= MANY_RARE).then(|| {
            let message = format!(
                "{rare} of {} symbols occur fewer than {RARE} times in the train split: they are hardly learned",
                rows.len()
            );
            note(TextNote::RareSymbols, rare as u64, Some(share), &message)
        })
    }

    fn words(&self) -> Option<TextNotes> {
        let Space { occurrences, distinct, .. } = *self.space;
        if occurrences == 0 {
            let message = "the text has no words (runs of letters): coherence and word_validity are null or 0";
            return Some(note(TextNote::FewWords, 0, None, message));
        }
        let share = distinct as f64 / occurrences as f64;
        (share > MANY_DIFFERENT).then(|| {
            let message = format!(
                "{} of the words (runs of letters) are different, as where a text is short or its words are not written apart: \
                 coherence and word_validity mean little",
                percent(share)
            );
            note(TextNote::FewWords, distinct as u64, Some(share), &message)
        })
    }

    fn sampled(&self) -> Option<TextNotes> {
        let [all, taken] = self.segments;
        (taken < all).then(|| {
            let share = taken as f64 / all as f64;
            let message = format!("the semantic space of coherence is of {taken} evenly spaced segments of {all}");
            note(TextNote::Sampled, taken as u64, Some(share), &message)
        })
    }
}

fn note(note: TextNote, count: u64, share: Option<f64>, message: &str) -> TextNotes {
    TextNotes { note, count, share, message: message.to_owned() }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent >= 10.0 => format!("{percent:.0} %"),
        percent if percent >= 0.01 => format!("{percent:.2} %"),
        _ => "less than 0.01 %".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Text;
    use crate::semantic_space::semantic_space;

    /// The notes on a text.
    fn noted(text: Text<'_>) -> Vec<TextNotes> {
        let splits = Splits::of(text, 0.9, 0.1);
        let bytes = &*text.bytes();
        let vocabulary = Vocabulary::of(&splits).expect("few symbols");
        let segments = splits.train.segments(30);
        let space = semantic_space(&segments.taken);
        let segments = [segments.all, segments.taken.len()];
        Findings { bytes, splits: &splits, vocabulary: &vocabulary, space: &space, segments }.notes()
    }

    fn kinds(bytes: &[u8]) -> Vec<TextNote> {
        noted(Text::utf8(bytes).expect("it is UTF-8")).iter().map(|row| row.note).collect()
    }

    /// Sentences of some words, of which none is rare.
    fn prose(sentences: usize) -> String {
        "The quick brown fox jumps over the lazy dog.\n".repeat(sentences)
    }

    #[test]
    fn an_ordinary_text_has_no_notes() {
        assert_eq!(kinds(prose(60).as_bytes()), []);
    }

    #[test]
    fn marks_and_carriage_returns_are_counted() {
        let text = prose(60);
        assert_eq!(kinds(format!("\u{feff}{text}").as_bytes())[0], TextNote::ByteOrderMark);
        let crlf = text.replace('\n', "\r\n");
        let [note] = &noted(Text::Utf8(&crlf))[..] else { panic!("one note") };
        assert_eq!((note.note, note.count), (TextNote::CarriageReturns, 60));
        assert!(note.message.starts_with("60 lines end in CR LF: CR is a symbol"), "{}", note.message);
        let stray = noted(Text::Bytes(crlf.replacen("fox", "fox\r", 3).as_bytes()));
        assert!(stray[0].message.contains("and there are 3 other carriage returns"), "{}", stray[0].message);
    }

    #[test]
    fn documents_in_one_file_are_counted() {
        for (text, said) in [
            (prose(20).replace("dog.\n", "dog.<|endoftext|>"), "(20 times <|endoftext|>)"),
            (prose(20).replace("dog.\n", "dog.\x0c"), "(20 times form feeds)"),
            ("{\"text\": \"The quick brown fox\"}\n".repeat(30), "the file is 30 lines of JSON"),
        ] {
            let notes = noted(Text::Utf8(&text));
            assert_eq!(notes[0].note, TextNote::ManyDocuments);
            assert!(notes[0].message.contains(said), "{}", notes[0].message);
        }
    }

    #[test]
    fn symbols_that_cannot_be_learned_are_counted() {
        let text = prose(60) + &"ж".repeat(200);
        let notes = noted(Text::Utf8(&text));
        let [note] = &notes[..] else { panic!("{notes:?}") };
        assert_eq!((note.note, note.count), (TextNote::UnseenSymbols, 1));
        let share = 200.0 / (text.chars().count() as f64 - (text.chars().count() as f64 * 0.9).floor());
        assert_eq!(note.share, Some(share));
        assert!(note.message.contains("1 symbols of the val split") && note.message.contains(" % of its positions"));
        // Twenty characters that occur once each, at the start.
        let rare: String = ('а'..='у').collect();
        assert_eq!(kinds((rare + &prose(60)).as_bytes()), [TextNote::RareSymbols]);
        assert_eq!(kinds(&b"a".repeat(100)), [TextNote::OneSymbol, TextNote::FewWords]);
    }

    #[test]
    fn words_that_are_none_are_noted() {
        let random = |symbols: &[char], length: usize| {
            let mut state = 1_u64;
            let next = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                symbols[(state >> 33) as usize % symbols.len()]
            };
            (0..length).map(next).collect::<String>()
        };
        let chinese: Vec<char> = ('一'..='丝').chain(['。']).collect();
        assert_eq!(kinds(random(&['A', 'C', 'G', 'T'], 2500).as_bytes()), [TextNote::FewWords]);
        assert_eq!(kinds(random(&chinese, 2500).as_bytes()), [TextNote::FewWords]);
        assert_eq!(kinds(random(&['1', '2'], 2500).as_bytes()), [TextNote::FewWords]);
        let notes = noted(Text::Utf8(&prose(200)));
        assert_eq!((notes[0].note, notes[0].count), (TextNote::Sampled, 30));
    }
}
