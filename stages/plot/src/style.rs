//! The look of the figures: width, theme, font, sizes and colours.

use std::sync::LazyLock;

use declarations::{FigureWidth, Theme};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

/// What a figure's user chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// How wide it is.
    pub width: FigureWidth,
    /// Its colours.
    pub theme: Theme,
    /// Whether title and subtitle are drawn.
    pub titles: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: FigureWidth::Page, theme: Theme::Light, titles: true }
    }
}

/// Logical pixels per millimetre on paper, so that the smallest text, of 20 pixels, has 7 points.
const PER_MILLIMETRE: f64 = 8.0;

impl Look {
    /// The width in millimetres; none for a screen.
    pub fn millimetres(&self) -> Option<f64> {
        match self.width {
            FigureWidth::Page => None,
            FigureWidth::OneColumn => Some(85.0),
            FigureWidth::TwoColumns => Some(178.0),
        }
    }

    /// The width in logical pixels.
    pub fn pixels(&self) -> f64 {
        self.millimetres().map_or(1600.0, |width| width * PER_MILLIMETRE)
    }

    /// Pixels of the PNG per logical pixel and axis: on paper, 610 per inch.
    pub fn png_scale(&self) -> u8 {
        if self.millimetres().is_some() { 3 } else { 1 }
    }

    /// Whether panels are below each other rather than side by side.
    pub fn is_narrow(&self) -> bool {
        self.width == FigureWidth::OneColumn
    }

    /// The margin around a figure.
    pub fn margin(&self) -> f64 {
        if self.millimetres().is_some() { 6.0 } else { 44.0 }
    }

    /// The left edge of panels with a vertical axis of numbers: room for its label and tick labels.
    pub fn axis_left(&self) -> f64 {
        self.margin() + 116.0
    }

    /// The right edge of what is drawn.
    pub fn right(&self) -> f64 {
        self.pixels() - self.margin()
    }

    /// The right edge of panels with a horizontal axis of numbers, whose last label needs room beyond it.
    pub fn axis_right(&self) -> f64 {
        self.right() - if self.millimetres().is_some() { 26.0 } else { 0.0 }
    }

    /// One of two lengths: wide figures', or narrow ones'.
    pub fn either<T>(&self, wide: T, narrow: T) -> T {
        if self.is_narrow() { narrow } else { wide }
    }
}

/// Red, green, blue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `amount` of another colour, from 0 to 1, the rest this one.
    fn mix(self, other: Self, amount: f64) -> Self {
        let mix = |one: u8, other: u8| (f64::from(one) + amount * (f64::from(other) - f64::from(one))).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

/// A colour by what it is for; what it is depends on the theme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Color {
    /// Titles and most text.
    Ink,
    /// Secondary text.
    Muted,
    /// Axes.
    Axis,
    /// Grid lines.
    Grid,
    /// Background data.
    Faint,
    /// The background.
    Paper,
    /// One of a set without order, such as runs or heads.
    Hue(Rgb),
    /// Item of an ordered set, such as layers, from 0 to 1.
    Ordered(f64),
    /// The same in every theme: part of a colour scale.
    Exact(Rgb),
}

impl Color {
    /// What it is in a theme.
    pub fn of(self, theme: Theme) -> Rgb {
        let choose = |light: u32, dark: u32, print: u32| {
            let rgb = match theme {
                Theme::Light => light,
                Theme::Dark => dark,
                Theme::Print => print,
            };
            let channel = |shift: u32| (rgb >> shift & 0xFF) as u8;
            Rgb(channel(16), channel(8), channel(0))
        };
        match self {
            Self::Ink => choose(0x22262B, 0xE6E8EA, 0x000000),
            Self::Muted => choose(0x5A616A, 0xA3ABB4, 0x333333),
            Self::Axis => choose(0x8A9199, 0x79828C, 0x555555),
            Self::Grid => choose(0xE6E8EB, 0x2C3238, 0xE0E0E0),
            Self::Faint => choose(0xC9CED4, 0x4A525B, 0xC0C0C0),
            Self::Paper => choose(0xFFFFFF, 0x15181B, 0xFFFFFF),
            // Dark hues need light to be seen on black.
            Self::Hue(rgb) if theme == Theme::Dark => rgb.mix(Rgb(255, 255, 255), 0.28),
            Self::Hue(rgb) | Self::Exact(rgb) => rgb,
            // Without the end of viridis that is faint on the background.
            Self::Ordered(fraction) if theme == Theme::Dark => viridis(0.3 + 0.7 * fraction),
            Self::Ordered(fraction) => viridis(0.86 * fraction),
        }
    }
}

/// Colour, width and opacity of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub color: Color,
    /// Its width in logical pixels.
    pub width: f64,
    /// From 0, invisible, to 1.
    pub opacity: f64,
}

impl Stroke {
    /// An opaque stroke of a colour and a width in logical pixels.
    pub const fn new(color: Color, width: f64) -> Self {
        Self { color, width, opacity: 1.0 }
    }

    /// The same, translucent.
    #[must_use]
    pub const fn opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
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

/// The colour-blind-safe palette of Okabe and Ito (2008), without yellow, which is faint on white; then, for studies of more seeds
/// than it has colours, three that are darker than their neighbours in hue.
pub const DISTINCT: [Color; 10] = [
    BLUE,
    VERMILION,
    GREEN,
    PURPLE,
    ORANGE,
    SKY,
    Color::Ink,
    Color::Hue(Rgb(0x7B, 0x3F, 0xB0)),
    Color::Hue(Rgb(0x8A, 0x1C, 0x1C)),
    Color::Hue(Rgb(0x5F, 0x7D, 0x00)),
];
/// Okabe and Ito's blue.
pub const BLUE: Color = Color::Hue(Rgb(0x00, 0x72, 0xB2));
/// Okabe and Ito's vermilion.
pub const VERMILION: Color = Color::Hue(Rgb(0xD5, 0x5E, 0x00));
/// Okabe and Ito's bluish green.
pub const GREEN: Color = Color::Hue(Rgb(0x00, 0x9E, 0x73));
/// Okabe and Ito's reddish purple.
pub const PURPLE: Color = Color::Hue(Rgb(0xCC, 0x79, 0xA7));
/// Okabe and Ito's orange.
pub const ORANGE: Color = Color::Hue(Rgb(0xE6, 0x9F, 0x00));
/// Okabe and Ito's sky blue.
pub const SKY: Color = Color::Hue(Rgb(0x56, 0xB4, 0xE9));

/// The colour of item `index` of a set without order, such as runs or heads; repeats after ten.
pub fn distinct(index: usize) -> Color {
    DISTINCT[index % DISTINCT.len()]
}

/// The colour of item `index` of `count` ordered ones, such as layers, from dark to bright.
pub fn ordered(index: usize, count: usize) -> Color {
    Color::Ordered(index as f64 / (count.max(2) - 1) as f64)
}

/// A figure's title.
pub const TITLE: Font = Font { size: 31.0, bold: true, color: Color::Ink };
/// The line below the title.
pub const SUBTITLE: Font = Font { size: 22.0, bold: false, color: Color::Muted };
/// A panel's heading.
pub const HEADING: Font = Font { size: 23.0, bold: true, color: Color::Ink };
/// Axis labels.
pub const LABEL: Font = Font { size: 22.0, bold: false, color: Color::Ink };
/// Tick labels.
pub const TICK: Font = Font { size: 20.0, bold: false, color: Color::Muted };
/// Notes and legends.
pub const NOTE: Font = Font { size: 21.0, bold: false, color: Color::Ink };

/// Grid lines.
pub const GRID_LINE: Stroke = Stroke::new(Color::Grid, 1.5);
/// Axis lines and ticks.
pub const AXIS_LINE: Stroke = Stroke::new(Color::Axis, 2.0);

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

    /// The same font, smaller if that is needed for lines of a height.
    pub fn fit_height(self, height: f64) -> Self {
        Self { size: self.size.min(height / 1.1), ..self }
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
pub fn viridis(fraction: f64) -> Rgb {
    const STOPS: [u32; 9] = [0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725];
    let position = fraction.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (position.floor() as usize).min(STOPS.len() - 2);
    let channel = |shift: u32| {
        let value = |stop: usize| f64::from(STOPS[stop] >> shift & 0xFF);
        (value(below) + (value(below + 1) - value(below)) * (position - below as f64)).round() as u8
    };
    Rgb(channel(16), channel(8), channel(0))
}

/// A diverging scale from blue at −1 over white at 0 to vermilion at 1.
pub fn diverging(value: f64) -> Rgb {
    let end = if value < 0.0 { Rgb(0x00, 0x5A, 0x9C) } else { Rgb(0xC4, 0x4E, 0x00) };
    Rgb(0xFA, 0xFA, 0xFA).mix(end, value.abs().min(1.0))
}

/// The colour of text on a colour of a scale: black or white, whichever has more contrast.
pub fn ink_on(Rgb(red, green, blue): Rgb) -> Color {
    let light = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    Color::Exact(if light > 140.0 { Rgb(0, 0, 0) } else { Rgb(255, 255, 255) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viridis_passes_through_its_published_colours() {
        assert_eq!(viridis(0.0), Rgb(0x44, 0x01, 0x54));
        assert_eq!(viridis(0.5), Rgb(0x21, 0x91, 0x8C));
        assert_eq!(viridis(1.0), Rgb(0xFD, 0xE7, 0x25));
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
