//! Which 16-grams and words of the scored texts occur in the train split. The texts are few and the split is large, so the split
//! is streamed once, and only n-grams of the texts are kept.

use std::collections::HashMap;

use schemas::Alphabet;
use schemas::alphabet::Parts;

/// Length of the n-grams of `novelty_16`.
const LENGTH: usize = 16;

type Gram = [u16; LENGTH];

/// A search for the 16-grams and words of some texts in the train split.
pub struct CorpusSearch<'alphabet> {
    alphabet: &'alphabet Alphabet,
    filter: Filter,
    grams: HashMap<Gram, bool>,
    words: HashMap<String, bool>,
    /// The last 15 tokens read, since a 16-gram can span two parts.
    recent: Vec<u16>,
    /// The letters that the last part ended in, since a word can span two parts.
    unfinished: String,
    /// A character can span two parts, too.
    parts: Parts,
}

impl<'alphabet> CorpusSearch<'alphabet> {
    /// A search for the 16-grams and words of these texts.
    pub fn new<'texts>(alphabet: &'alphabet Alphabet, texts: impl Iterator<Item = &'texts [u16]>) -> Self {
        let mut search = Self {
            alphabet,
            filter: Filter::new(),
            grams: HashMap::new(),
            words: HashMap::new(),
            recent: Vec::new(),
            unfinished: String::new(),
            parts: Parts::default(),
        };
        for text in texts {
            for (hash, gram) in grams(text) {
                search.filter.insert(hash);
                search.grams.insert(*gram, false);
            }
            search.words.extend(words(&alphabet.decode(text)).map(|word| (word, false)));
        }
        search
    }

    /// Searches the next part of the train split.
    pub fn read(&mut self, tokens: &[u16]) {
        self.recent.extend(tokens);
        for (hash, gram) in grams(&self.recent) {
            if self.filter.may_hold(hash)
                && let Some(found) = self.grams.get_mut(gram)
            {
                *found = true;
            }
        }
        self.recent.drain(..self.recent.len().saturating_sub(LENGTH - 1));

        self.unfinished += &self.parts.decode(self.alphabet, tokens);
        let tail = self.unfinished.trim_end_matches(term_weighting::is_letter).len();
        let tail = self.unfinished.split_off(tail);
        self.mark_words();
        self.unfinished = tail;
    }

    /// What was found, once the whole train split was read.
    pub fn finish(mut self) -> KnownText {
        self.unfinished += &std::mem::take(&mut self.parts).finish();
        self.mark_words();
        KnownText { grams: self.grams, words: self.words }
    }

    fn mark_words(&mut self) {
        for word in words(&self.unfinished) {
            if let Some(found) = self.words.get_mut(&word) {
                *found = true;
            }
        }
    }
}

/// The 16-grams and words of the texts, each with whether it occurs in the train split.
pub struct KnownText {
    grams: HashMap<Gram, bool>,
    words: HashMap<String, bool>,
}

impl KnownText {
    /// The share of a text's 16-grams that do not occur in the train split, 0 (all memorised) to 1. `None` for a text of fewer
    /// than 16 characters.
    pub fn novelty_16(&self, text: &[u16]) -> Option<f64> {
        let found = text.windows(LENGTH).map(|gram| self.grams.get(gram).is_some_and(|found| *found));
        share(found.map(|found| !found))
    }

    /// The share of a text's words (runs of at least two letters, lower-cased) that occur in the train split, 0 to 1. `None` for a
    /// text without words.
    pub fn word_validity(&self, text: &str) -> Option<f64> {
        share(words(text).map(|word| self.words.get(&word).is_some_and(|found| *found)))
    }
}

/// The share that is true; `None` if there are none.
fn share(events: impl Iterator<Item = bool>) -> Option<f64> {
    let (hits, all) = events.fold((0u64, 0u64), |(hits, all), event| (hits + u64::from(event), all + 1));
    (all > 0).then(|| hits as f64 / all as f64)
}

/// The words of at least two letters. Letters are counted, since lower-casing can add a combining mark to a single one.
fn words(text: &str) -> impl Iterator<Item = String> {
    term_weighting::words(text)
        .filter(|word| word.chars().filter(|&character| term_weighting::is_letter(character)).count() > 1)
}

/// Every 16-gram of a text with its rolling hash `Σ token·BASE^(15−position)` modulo 2⁶⁴.
fn grams(text: &[u16]) -> impl Iterator<Item = (u64, &Gram)> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    const LEAVING: u64 = BASE.wrapping_pow(LENGTH as u32);
    let push = |hash: u64, token: u16| hash.wrapping_mul(BASE).wrapping_add(u64::from(token));
    let mut hash = text.iter().take(LENGTH).fold(0, |hash, &token| push(hash, token));
    text.windows(LENGTH).enumerate().filter_map(move |(start, gram)| {
        if start > 0 {
            let leaving = u64::from(text[start - 1]).wrapping_mul(LEAVING);
            hash = push(hash, text[start + LENGTH - 1]).wrapping_sub(leaving);
        }
        Some((hash, gram.try_into().ok()?))
    })
}

/// A Bloom filter with one hash function, small enough for the cache: it rules out nearly all 16-grams of the split, most of
/// which are in no text.
struct Filter {
    bits: Vec<u64>,
}

impl Filter {
    const BITS: u32 = 24;

    fn new() -> Self {
        Self { bits: vec![0; 1 << (Self::BITS - 6)] }
    }

    fn insert(&mut self, hash: u64) {
        let bit = Self::bit(hash);
        self.bits[bit / 64] |= 1 << (bit % 64);
    }

    fn may_hold(&self, hash: u64) -> bool {
        let bit = Self::bit(hash);
        self.bits[bit / 64] & (1 << (bit % 64)) != 0
    }

    fn bit(hash: u64) -> usize {
        // The high bits depend on all characters, the low ones on the last few. The result has 24 bits, which any `usize` has.
        ((hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> (64 - Self::BITS)) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use schemas::tables::Vocabulary;

    fn alphabet(symbols: &str) -> Alphabet {
        Alphabet::new(&Vocabulary::of_characters(symbols, 1))
    }

    fn search(alphabet: &Alphabet, texts: &[&[u16]], parts: &[&[u16]]) -> KnownText {
        let mut search = CorpusSearch::new(alphabet, texts.iter().copied());
        parts.iter().for_each(|part| search.read(part));
        search.finish()
    }

    #[test]
    fn grams_and_words_across_parts_are_found() {
        let alphabet = alphabet(" .TWabdehimnorst");
        let encode = |text: &str| alphabet.encode(text).expect("letters of the alphabet");
        let text = encode("To the Winter T.t Winter");
        let parts = ["Wha", "t is t", "", "he Win", "ter To"].map(encode);
        let parts: Vec<&[u16]> = parts.iter().map(Vec::as_slice).collect();
        let known = search(&alphabet, &[&text], &parts);
        // to, the and winter are words of the split; T and t are single letters, so not words.
        assert_eq!(known.word_validity(&alphabet.decode(&text)), Some(1.0));
        assert_eq!(known.word_validity("To wa."), Some(0.5));
        assert_eq!(known.word_validity("T.t"), None);
        assert_eq!(known.word_validity(""), None);
        // None of the text's nine 16-grams is in the split.
        assert_eq!(known.novelty_16(&text), Some(1.0));
        let text = encode("sat is the Winter Tob");
        // Its six are `sat is the Winte`, `at is …`, `t is …`, ` is …`, `is …`, `s the Winter Tob`: all but the first
        // and the last are there.
        assert_eq!(search(&alphabet, &[&text], &parts).novelty_16(&text), Some(2.0 / 6.0));
        assert_eq!(known.novelty_16(&text[..15]), None);
    }

    #[test]
    fn words_of_bytes_are_those_of_their_characters() {
        let rows: Vec<Vocabulary> = (0..=u8::MAX).map(|byte| Vocabulary::row(byte.into(), vec![byte], 1)).collect();
        let alphabet = Alphabet::new(&rows);
        let encode = |text: &str| alphabet.encode(text).expect("every byte is known");
        let (split, text) = (encode("zażółć gęślą jaźń"), encode("Zażółć jaź"));
        // In parts that part characters, as every cut between two bytes does here or there.
        for length in 1..split.len() {
            let parts: Vec<&[u16]> = split.chunks(length).collect();
            let known = search(&alphabet, &[&text, &split], &parts);
            assert_eq!(known.word_validity(&alphabet.decode(&text)), Some(0.5), "in parts of {length}");
            assert_eq!(known.novelty_16(&split), Some(0.0));
        }
    }

    #[test]
    fn in_an_empty_split_nothing_is_found() {
        let alphabet = alphabet("ab ");
        let text = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0];
        let known = search(&alphabet, &[&text], &[]);
        assert_eq!((known.novelty_16(&text), known.word_validity("ab ab")), (Some(1.0), Some(0.0)));
    }

    proptest! {
        #[test]
        fn novelty_is_that_of_a_naive_search(
            split in prop::collection::vec(0u16..2, 0..400), text in prop::collection::vec(0u16..2, 0..60), cut in 0usize..400,
        ) {
            let (head, tail) = split.split_at(cut.min(split.len()));
            let known = search(&alphabet("ab"), &[&text], &[head, tail]);
            let novel = text.windows(16).filter(|gram| !split.windows(16).any(|other| other == *gram)).count();
            let expected = (text.len() > 15).then(|| novel as f64 / (text.len() - 15) as f64);
            prop_assert_eq!(known.novelty_16(&text), expected);
        }

        #[test]
        fn words_are_those_of_the_whole(
            split in prop::collection::vec(0u16..3, 0..60), text in "[ab ]{0,20}", cut in 0usize..60,
        ) {
            let alphabet = alphabet("ab ");
            let (head, tail) = split.split_at(cut.min(split.len()));
            let tokens = alphabet.encode(&text).expect("letters of the alphabet");
            let known = search(&alphabet, &[&tokens], &[head, tail]);
            let there: Vec<String> = term_weighting::words(&alphabet.decode(&split)).collect();
            let words: Vec<String> = term_weighting::words(&text).filter(|word| word.len() > 1).collect();
            let valid = words.iter().filter(|word| there.contains(word)).count();
            prop_assert_eq!(known.word_validity(&text), (!words.is_empty()).then(|| valid as f64 / words.len() as f64));
        }
    }
}
