//! How figures look: font, sizes and colours, in one place.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, GlyphId, PxScale};

use crate::canvas::Font;

/// Red, green, blue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Color(pub u8, pub u8, pub u8);

/// The width of a figure in logical pixels.
pub const WIDTH: f64 = 1600.0;
/// The distance of everything from a figure's edge.
pub const MARGIN: f64 = 44.0;

/// Titles, axes' lines and most words.
pub const INK: Color = Color(0x22, 0x26, 0x2B);
/// Words that explain.
pub const MUTED: Color = Color(0x5A, 0x61, 0x6A);
/// Axes.
pub const AXIS: Color = Color(0x8A, 0x91, 0x99);
/// Grid lines.
pub const GRID: Color = Color(0xE6, 0xE8, 0xEB);
/// What is there but not looked at.
pub const FAINT: Color = Color(0xC9, 0xCE, 0xD4);
/// The paper.
pub const PAPER: Color = Color(0xFF, 0xFF, 0xFF);

/// The palette of Okabe and Ito (2008), told apart with every kind of colour vision; yellow, faint on white, is left out.
pub const DISTINCT: [Color; 7] = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, Color(0, 0, 0)];
/// Okabe and Ito's blue.
pub const BLUE: Color = Color(0x00, 0x72, 0xB2);
/// Okabe and Ito's vermilion.
pub const VERMILION: Color = Color(0xD5, 0x5E, 0x00);
/// Okabe and Ito's bluish green.
pub const GREEN: Color = Color(0x00, 0x9E, 0x73);
/// Okabe and Ito's reddish purple.
pub const PURPLE: Color = Color(0xCC, 0x79, 0xA7);
/// Okabe and Ito's orange.
pub const ORANGE: Color = Color(0xE6, 0x9F, 0x00);
/// Okabe and Ito's sky blue.
pub const SKY: Color = Color(0x56, 0xB4, 0xE9);

impl Color {
    /// The same, so much of it as from 0, paper, to 1, mixed with paper: for what lies behind.
    pub fn pale(self, share: f64) -> Self {
        let mix =
            |channel: u8, paper: u8| (share * f64::from(channel) + (1.0 - share) * f64::from(paper)).round() as u8;
        Self(mix(self.0, PAPER.0), mix(self.1, PAPER.1), mix(self.2, PAPER.2))
    }
}

/// A figure's title.
pub const TITLE: Font = Font { size: 31.0, bold: true, color: INK };
/// What was measured, below the title.
pub const SUBTITLE: Font = Font { size: 22.0, bold: false, color: MUTED };
/// A panel's heading.
pub const HEADING: Font = Font { size: 23.0, bold: true, color: INK };
/// The name of an axis.
pub const LABEL: Font = Font { size: 22.0, bold: false, color: INK };
/// The numbers on an axis.
pub const TICK: Font = Font { size: 20.0, bold: false, color: MUTED };
/// Notes and legends.
pub const NOTE: Font = Font { size: 21.0, bold: false, color: INK };

/// Half the height of a capital letter over the em.
pub const HALF_CAPITAL: f64 = 0.357;
/// The height of a line of text over the em.
pub const LINE: f64 = 1.36;

/// The font's name in an SVG, and what to take where it is missing: any sans serif will do.
pub const FAMILY: &str = "Noto Sans, Helvetica Neue, Helvetica, Arial, sans-serif";

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| face(notosans::REGULAR_TTF));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| face(notosans::BOLD_TTF));

fn face(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded font is well formed")
}

impl Font {
    /// The same in another colour.
    pub const fn color(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// The same in bold.
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The shapes of its letters.
    pub fn face(&self) -> &'static FontRef<'static> {
        if self.bold { &BOLD } else { &REGULAR }
    }

    /// The scale that gives its letters their size on a raster of so many pixels for a logical one.
    pub fn scale(&self, pixels: f64) -> PxScale {
        let face = self.face();
        let per_em = f64::from(face.height_unscaled() / face.units_per_em().unwrap_or(1000.0));
        PxScale::from((self.size * pixels * per_em) as f32)
    }

    /// The letters of a text, each with how far from the start it is, in logical pixels; and how far the text goes.
    pub fn letters(&self, text: &str) -> (Vec<(GlyphId, f64)>, f64) {
        let face = self.face();
        let per_unit = self.size / f64::from(face.units_per_em().unwrap_or(1000.0));
        let mut letters = Vec::new();
        let mut along = 0.0;
        for character in text.chars() {
            let letter = face.glyph_id(character);
            letters.push((letter, along));
            along += f64::from(face.h_advance_unscaled(letter)) * per_unit;
        }
        (letters, along)
    }

    /// The width of a text in logical pixels.
    pub fn width(&self, text: &str) -> f64 {
        self.letters(text).1
    }

    /// Breaks a text into lines no wider than this.
    pub fn wrap(&self, text: &str, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }
}

/// Viridis (Smith and van der Walt 2015): perceptually uniform from dark violet, 0, to yellow, 1.
pub fn viridis(share: f64) -> Color {
    const STOPS: [u32; 9] = [0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725];
    let position = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (position.floor() as usize).min(STOPS.len() - 2);
    let channel = |shift: u32| {
        let value = |stop: usize| f64::from(STOPS[stop] >> shift & 0xFF);
        (value(below) + (value(below + 1) - value(below)) * (position - below as f64)).round() as u8
    };
    Color(channel(16), channel(8), channel(0))
}

/// The colour of a number of so many, from dark to bright: for what has an order, such as layers. The brightest part of
/// viridis, faint on white, is left out.
pub fn ordered(number: usize, count: usize) -> Color {
    viridis(0.86 * number as f64 / (count.max(2) - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viridis_passes_through_its_known_colours() {
        assert_eq!(viridis(0.0), Color(0x44, 0x01, 0x54));
        assert_eq!(viridis(0.5), Color(0x21, 0x91, 0x8C));
        assert_eq!(viridis(1.0), Color(0xFD, 0xE7, 0x25));
    }

    #[test]
    fn text_is_broken_between_words_and_fits() {
        let lines = NOTE.wrap("attention becomes more focused as training progresses", 200.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| NOTE.width(line) <= 200.0), "{lines:?}");
        assert_eq!(lines.join(" "), "attention becomes more focused as training progresses");
    }

    #[test]
    fn every_sign_on_figures_is_in_the_font() {
        for sign in ["−", "±", "→", "²", "…", "–", "≥", "≤"] {
            assert_ne!(NOTE.letters(sign).0[0].0, GlyphId(0), "{sign}");
        }
    }
}
