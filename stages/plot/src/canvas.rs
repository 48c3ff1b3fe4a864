//! A figure as a list of marks: what is drawn where, before anything knows of pixels or SVG. Coordinates are logical
//! pixels from the top left corner; a PNG has one pixel for each, an SVG scales.

use crate::style::{self, Color};

/// Horizontal and vertical position in logical pixels.
pub type Point = (f64, f64);

/// A figure: what it shows, in words and in marks.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The first part of its files' names.
    pub name: &'static str,
    /// What is seen, in plain words.
    pub title: String,
    /// How to read it: the caption under it.
    pub caption: String,
    /// Width in logical pixels.
    pub width: f64,
    /// Height in logical pixels.
    pub height: f64,
    /// What is drawn, the hindmost first. Images lie behind everything else.
    pub marks: Vec<Mark>,
}

/// Something drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A polyline.
    Line {
        /// Its corners.
        points: Vec<Point>,
        /// Its colour.
        color: Color,
        /// Its thickness.
        width: f64,
    },
    /// A filled polygon.
    Area {
        /// Its corners.
        points: Vec<Point>,
        /// Its colour.
        color: Color,
        /// From 0, invisible, to 1.
        opacity: f64,
    },
    /// A filled circle.
    Disc {
        /// Its centre.
        centre: Point,
        /// Its radius.
        radius: f64,
        /// Its colour.
        color: Color,
        /// From 0, invisible, to 1.
        opacity: f64,
    },
    /// A line of text.
    Text {
        /// The words.
        text: String,
        /// Where the baseline starts, has its middle or ends.
        at: Point,
        /// How.
        font: Font,
        /// Which part of the text `at` is.
        align: Align,
        /// Whether it reads upwards instead of rightwards.
        upwards: bool,
    },
    /// A grid of cells of a palette.
    Image {
        /// The top left corner.
        at: Point,
        /// Width and height on the figure.
        size: Point,
        /// The cells.
        raster: Raster,
    },
}

/// Cells that are painted by a palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// The palette's entry of each cell, row by row from the top left.
    pub cells: Vec<u8>,
    /// The colours, at most 256.
    pub palette: Vec<Color>,
}

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Font {
    /// Its em in logical pixels.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// Its colour.
    pub color: Color,
}

/// Which part of a text a position is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Align {
    /// Its start.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

impl Figure {
    /// An empty figure with its title and, below it, what was measured.
    pub fn new(name: &'static str, title: &str, subtitle: &str, caption: String, (width, height): Point) -> Self {
        let mut figure = Self { name, title: title.to_owned(), caption, width, height, marks: Vec::new() };
        figure.text(title, (style::MARGIN, 52.0), style::TITLE, Align::Start);
        figure.text(subtitle, (style::MARGIN, 86.0), style::SUBTITLE, Align::Start);
        figure
    }

    /// Draws a polyline.
    pub fn line(&mut self, points: Vec<Point>, color: Color, width: f64) {
        self.marks.push(Mark::Line { points, color, width });
    }

    /// Draws a polyline in dashes: `on` drawn, `off` left out, starting `phase` into that pattern.
    pub fn dashes(&mut self, points: &[Point], (on, off, phase): (f64, f64, f64), color: Color, width: f64) {
        for dash in dashes(points, on, off, phase) {
            self.line(dash, color, width);
        }
    }

    /// Fills a polygon.
    pub fn area(&mut self, points: Vec<Point>, color: Color, opacity: f64) {
        self.marks.push(Mark::Area { points, color, opacity });
    }

    /// Fills an upright rectangle between two opposite corners.
    pub fn rectangle(&mut self, (x0, y0): Point, (x1, y1): Point, color: Color, opacity: f64) {
        self.area(vec![(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, opacity);
    }

    /// Fills a circle.
    pub fn disc(&mut self, centre: Point, radius: f64, color: Color, opacity: f64) {
        self.marks.push(Mark::Disc { centre, radius, color, opacity });
    }

    /// Writes on a baseline.
    pub fn text(&mut self, text: &str, at: Point, font: Font, align: Align) {
        self.marks.push(Mark::Text { text: text.to_owned(), at, font, align, upwards: false });
    }

    /// Writes with the capitals' middle at a height.
    pub fn text_level(&mut self, text: &str, (x, y): Point, font: Font, align: Align) {
        self.text(text, (x, y + style::HALF_CAPITAL * font.size), font, align);
    }

    /// Writes upwards, the middle of the text at a point.
    pub fn text_upwards(&mut self, text: &str, (x, y): Point, font: Font) {
        let at = (x + style::HALF_CAPITAL * font.size, y);
        self.marks.push(Mark::Text { text: text.to_owned(), at, font, align: Align::Middle, upwards: true });
    }

    /// Paints a grid of cells.
    pub fn image(&mut self, at: Point, size: Point, raster: Raster) {
        self.marks.push(Mark::Image { at, size, raster });
    }

    /// All words on it.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Cuts a polyline into dashes by its length.
fn dashes(points: &[Point], on: f64, off: f64, phase: f64) -> Vec<Vec<Point>> {
    let period = on + off;
    let mut position = phase.rem_euclid(period);
    let mut dashes: Vec<Vec<Point>> = Vec::new();
    let mut drawing = false;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > 1e-9 {
            let on_now = position < on;
            let step = (if on_now { on - position } else { period - position }).min(length - done);
            let at = |along: f64| (x0 + (x1 - x0) * along / length, y0 + (y1 - y0) * along / length);
            if on_now {
                if !drawing {
                    dashes.push(vec![at(done)]);
                }
                if let Some(dash) = dashes.last_mut() {
                    dash.push(at(done + step));
                }
            }
            drawing = on_now;
            done += step;
            position += step;
            // A position that only rounding keeps below its end would take steps without length.
            if on_now && on - position < 1e-9 {
                position = on;
                drawing = false;
            } else if period - position < 1e-9 {
                position = 0.0;
            }
        }
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_alternate_along_the_length_and_bend_with_the_line() {
        let straight = dashes(&[(0.0, 0.0), (10.0, 0.0)], 3.0, 2.0, 0.0);
        assert_eq!(straight, [[(0.0, 0.0), (3.0, 0.0)], [(5.0, 0.0), (8.0, 0.0)]]);
        let bent = dashes(&[(0.0, 0.0), (2.0, 0.0), (2.0, 3.0)], 3.0, 2.0, 0.0);
        assert_eq!(bent, [[(0.0, 0.0), (2.0, 0.0), (2.0, 1.0)]]);
    }

    #[test]
    fn dashes_of_complementary_phases_cover_the_line_once() {
        let line = [(0.0, 0.0), (7.0, 24.0), (40.0, 24.0)];
        let length = |dashes: Vec<Vec<Point>>| -> f64 {
            let legs = dashes
                .iter()
                .flat_map(|dash| dash.windows(2).map(|leg| (leg[1].0 - leg[0].0).hypot(leg[1].1 - leg[0].1)));
            legs.sum()
        };
        let all: f64 = (0..4).map(|part| length(dashes(&line, 5.0, 15.0, -5.0 * f64::from(part)))).sum();
        assert!((all - 58.0).abs() < 1e-9, "{all}");
    }
}
