//! The look of the figures: font, sizes and colours.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

/// Red, green, blue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Color(pub u8, pub u8, pub u8);

/// Colour and width of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub color: Color,
    /// Its width in logical pixels.
    pub width: f64,
}

impl Stroke {
    /// A stroke of a colour and a width in logical pixels.
    pub const fn new(color: Color, width: f64) -> Self {
        Self { color, width }
    }
}

/// Size, weight and colour of text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Font {
    /// Its em in logical pixels.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// Its colour.
    pub color: Color,
}

/// The width of a figure in logical pixels.
pub const WIDTH: f64 = 1600.0;
/// The margin around a figure.
pub const MARGIN: f64 = 44.0;

/// Titles and most text.
pub const INK: Color = Color(0x22, 0x26, 0x2B);
/// Secondary text.
pub const MUTED: Color = Color(0x5A, 0x61, 0x6A);
/// Axes.
pub const AXIS: Color = Color(0x8A, 0x91, 0x99);
/// Grid lines.
pub const GRID: Color = Color(0xE6, 0xE8, 0xEB);
/// Background data.
pub const FAINT: Color = Color(0xC9, 0xCE, 0xD4);
/// The background.
pub const PAPER: Color = Color(0xFF, 0xFF, 0xFF);

/// The colour-blind-safe palette of Okabe and Ito (2008), without yellow, which is faint on white.
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
    /// A tint: `amount` of the colour, from 0 to 1, the rest white.
    pub fn tint(self, amount: f64) -> Self {
        let mix =
            |channel: u8, paper: u8| (amount * f64::from(channel) + (1.0 - amount) * f64::from(paper)).round() as u8;
        Self(mix(self.0, PAPER.0), mix(self.1, PAPER.1), mix(self.2, PAPER.2))
    }
}

/// The colour of item `index` of a set without order, such as runs or heads; repeats after seven.
pub fn distinct(index: usize) -> Color {
    DISTINCT[index % DISTINCT.len()]
}

/// A figure's title.
pub const TITLE: Font = Font { size: 31.0, bold: true, color: INK };
/// The line below the title.
pub const SUBTITLE: Font = Font { size: 22.0, bold: false, color: MUTED };
/// A panel's heading.
pub const HEADING: Font = Font { size: 23.0, bold: true, color: INK };
/// Axis labels.
pub const LABEL: Font = Font { size: 22.0, bold: false, color: INK };
/// Tick labels.
pub const TICK: Font = Font { size: 20.0, bold: false, color: MUTED };
/// Notes and legends.
pub const NOTE: Font = Font { size: 21.0, bold: false, color: INK };

/// Grid lines.
pub const GRID_LINE: Stroke = Stroke::new(GRID, 1.5);
/// Axis lines and ticks.
pub const AXIS_LINE: Stroke = Stroke::new(AXIS, 2.0);

/// Half the height of a capital letter, in em.
pub const HALF_CAPITAL: f64 = 0.357;
/// Line height, in em.
pub const LINE: f64 = 1.36;

/// The font family in an SVG: the embedded one, then what a viewer without it has.
pub const FAMILY: &str = "Noto Sans, Helvetica Neue, Helvetica, Arial, sans-serif";

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(notosans::REGULAR_TTF));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(notosans::BOLD_TTF));

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::new(bytes).expect("the embedded font is well formed")
}

impl Font {
    /// The same font in another colour.
    pub const fn color(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// The same font in bold.
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The width of a text in logical pixels, without kerning.
    pub fn width(&self, text: &str) -> f64 {
        let face = if self.bold { &*BOLD } else { &*REGULAR };
        let (glyphs, metrics) =
            (face.charmap(), face.glyph_metrics(Size::new(self.size as f32), LocationRef::default()));
        let advance = |character| metrics.advance_width(glyphs.map(character).unwrap_or_default()).unwrap_or_default();
        text.chars().map(|character| f64::from(advance(character))).sum()
    }

    /// The same font, smaller if that is needed for a text to fit a width.
    pub fn fit(self, text: &str, width: f64) -> Self {
        Self { size: self.size * (width / self.width(text)).min(1.0), ..self }
    }

    /// Breaks a text between words into lines of at most this width.
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

/// Viridis (Smith and van der Walt 2015), perceptually uniform, from dark violet at 0 to yellow at 1.
pub fn viridis(fraction: f64) -> Color {
    const STOPS: [u32; 9] = [0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725];
    let position = fraction.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (position.floor() as usize).min(STOPS.len() - 2);
    let channel = |shift: u32| {
        let value = |stop: usize| f64::from(STOPS[stop] >> shift & 0xFF);
        (value(below) + (value(below + 1) - value(below)) * (position - below as f64)).round() as u8
    };
    Color(channel(16), channel(8), channel(0))
}

/// The colour of item `index` of `count` ordered ones, such as layers, from dark to bright; without the brightest part of
/// viridis, which is faint on white.
pub fn ordered(index: usize, count: usize) -> Color {
    viridis(0.86 * index as f64 / (count.max(2) - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viridis_passes_through_its_published_colours() {
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
    fn widths_are_those_of_the_font() {
        // Of 2048 units per em, the advance of “n” is 1266 in Noto Sans and 1346 in its bold.
        assert_eq!(Font { size: 2048.0, ..NOTE }.width("nn"), 2532.0);
        assert_eq!(Font { size: 2048.0, bold: true, ..NOTE }.width("n"), 1346.0);
    }

    #[test]
    fn every_sign_on_figures_is_in_the_font() {
        for sign in ['−', '±', '→', '↓', '²', '…', '–', '≥', '≤', '·', '×'] {
            assert!(REGULAR.charmap().map(sign).is_some(), "{sign}");
        }
    }
}
