//! Words, segments and TF-IDF weights of a text. The stage that computes the latent semantic space and the one that measures
//! `coherence` in it share these definitions.
//!
//! ```
//! let words: Vec<String> = term_weighting::words("O Romeo, Romeo! wherefore art thou").collect();
//! assert_eq!(words, ["o", "romeo", "romeo", "wherefore", "art", "thou"]);
//! ```

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Characters of a segment.
pub const SEGMENT_LENGTH: usize = 100;

/// Characters that the last segment of a text has at least.
pub const SHORTEST_SEGMENT: usize = 50;

/// Whether a character is a letter: its Unicode general category is one of `L*`.
pub fn is_letter(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphabetic();
    }
    character.general_category_group() == GeneralCategoryGroup::Letter
}

/// The words of a text in order: its maximal runs of letters, lower-cased by Unicode's full mapping.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|character| !is_letter(character)).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The number of segments of a text, from its number of characters: full ones of [`SEGMENT_LENGTH`], and the rest if it has at
/// least [`SHORTEST_SEGMENT`].
pub const fn segment_count(characters: usize) -> usize {
    characters / SEGMENT_LENGTH + (characters % SEGMENT_LENGTH >= SHORTEST_SEGMENT) as usize
}

/// The [`segment_count`] consecutive segments of a text. Words are split at their borders.
pub fn segments(text: &str) -> Vec<&str> {
    let ends = text.char_indices().map(|(position, _)| position).step_by(SEGMENT_LENGTH);
    let mut borders: Vec<usize> = ends.collect();
    borders.push(text.len());
    let mut segments: Vec<&str> = borders.windows(2).map(|border| &text[border[0]..border[1]]).collect();
    if segments.last().is_some_and(|last| last.chars().count() < SHORTEST_SEGMENT) {
        segments.pop();
    }
    segments
}

/// The term-frequency weight of a term from its number of occurrences in a segment: `1 + ln count`, or 0 without occurrences.
pub fn term_weight(count: usize) -> f64 {
    if count == 0 { 0.0 } else { 1.0 + (count as f64).ln() }
}

/// The inverse document frequency of a term that `containing` of the segments have: `1 + ln((1 + segments) / (1 + containing))`,
/// at least 1.
pub fn inverse_document_frequency(segments: usize, containing: usize) -> f64 {
    1.0 + ((1.0 + segments as f64) / (1.0 + containing as f64)).ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_runs_of_letters_of_every_script() {
        let found: Vec<String> = words("Ævar's naïve ΣΊΣΥΦΟΣ, 日本語 4ever x_y ʰ ②").collect();
        assert_eq!(found, ["ævar", "s", "naïve", "σίσυφος", "日本語", "ever", "x", "y", "ʰ"]);
        assert_eq!(words(" 1,2 ").count(), 0);
    }

    #[test]
    fn a_last_segment_has_at_least_half_the_length() {
        for (characters, expected) in [(0, 0), (49, 0), (50, 1), (100, 1), (149, 1), (150, 2), (200, 2)] {
            let text = "ä".repeat(characters);
            assert_eq!(segments(&text).len(), expected, "{characters} characters");
            assert_eq!(segment_count(characters), expected, "{characters} characters");
        }
        let text = format!("{}{}", "a".repeat(100), "b".repeat(60));
        assert_eq!(segments(&text), ["a".repeat(100), "b".repeat(60)]);
    }

    #[test]
    fn weights_are_as_documented() {
        assert_eq!((term_weight(0), term_weight(1)), (0.0, 1.0));
        assert!((term_weight(3) - 2.098_612_288_668_109_7).abs() < 1e-15);
        assert_eq!(inverse_document_frequency(7, 7), 1.0);
        assert!((inverse_document_frequency(9, 1) - 2.609_437_912_434_100_3).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn segments_are_the_text_without_a_short_rest(text in "\\PC{0,400}") {
            let segments = segments(&text);
            prop_assert_eq!(segments.len(), segment_count(text.chars().count()));
            prop_assert!(text.starts_with(&segments.concat()));
        }

        #[test]
        fn words_hold_letters_only(text in "[a-zß 0-9é.]{0,80}") {
            prop_assert!(words(&text).all(|word| !word.is_empty() && word.chars().all(is_letter)));
        }
    }
}
