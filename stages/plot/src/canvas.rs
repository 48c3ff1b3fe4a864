//! A figure as a list of marks, independent of the output format. Coordinates are logical pixels from the top left corner:
//! one pixel of the PNG each; the SVG scales.

use declarations::FigureName;

use crate::data::Data;
use crate::style::{self, Color, Font, Look, Stroke};
use crate::text::printable;

/// Horizontal and vertical position in logical pixels.
pub type Point = (f64, f64);

/// A figure: its name, title, caption, marks and numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The first part of its file names.
    pub name: &'static str,
    /// The title, drawn at the top and used as alternative text.
    pub title: &'static str,
    /// The line below the title.
    pub subtitle: String,
    /// The caption below it on the page.
    pub caption: String,
    /// Its width, colours, and whether title and subtitle are drawn.
    pub look: Look,
    /// Width in logical pixels, a whole number.
    pub width: f64,
    /// Height in logical pixels, a whole number.
    pub height: f64,
    /// The marks in drawing order. Images are drawn before everything else.
    pub marks: Vec<Mark>,
    /// The numbers that it shows.
    pub data: Data,
    /// Where its content begins, below title and subtitle.
    top: f64,
}

/// The text of a figure, and the columns of its numbers.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The figure.
    pub name: FigureName,
    /// The title.
    pub title: &'static str,
    /// The line below the title: dataset, run, seeds.
    pub subtitle: String,
    /// The caption on the page.
    pub caption: String,
    /// The columns of [`Figure::data`].
    pub columns: &'static [&'static str],
}

/// One graphical element.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A polyline.
    Line {
        /// Its vertices.
        points: Vec<Point>,
        /// Colour and width.
        stroke: Stroke,
    },
    /// A filled polygon.
    Area {
        /// Its vertices.
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
    /// One line of text.
    Text {
        /// The text.
        text: String,
        /// The anchor on the baseline.
        at: Point,
        /// Size, weight and colour.
        font: Font,
        /// Which part of the text the anchor is.
        align: Align,
        /// Whether it is rotated to read upwards.
        upwards: bool,
    },
    /// A grid of palette entries, without smoothing.
    Image {
        /// The top left corner.
        at: Point,
        /// Width and height on the figure.
        size: Point,
        /// The cells.
        raster: Raster,
    },
}

/// A dash pattern, in logical pixels along the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dashes {
    /// The length of a dash.
    pub on: f64,
    /// The length of a gap.
    pub off: f64,
    /// How far into the pattern the line starts.
    pub phase: f64,
}

/// An indexed-colour image.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// The palette index of each cell, row by row from the top left.
    pub cells: Vec<u8>,
    /// The colours, at most 256.
    pub palette: Vec<Color>,
}

/// Which part of a text its anchor is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Align {
    /// Its start.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

impl Dashes {
    /// A solid line.
    pub const SOLID: Self = Self::new(1e9, 0.0);

    /// Dashes and gaps of these lengths, starting with a dash.
    pub const fn new(on: f64, off: f64) -> Self {
        Self { on, off, phase: 0.0 }
    }
}

impl Figure {
    /// A figure with title and subtitle, and content of a height in logical pixels. The content's coordinates count from its
    /// own top.
    pub fn new(look: Look, heading: Heading, height: f64) -> Self {
        let Heading { name, title, subtitle, caption, columns } = heading;
        let (name, width) = (name.word(), look.pixels());
        let data = Data { columns, cells: Vec::new() };
        let mut figure =
            Self { name, title, subtitle, caption, look, width, height: 0.0, marks: Vec::new(), data, top: 0.0 };
        let (margin, room) = (look.margin(), width - 2.0 * look.margin());
        let mut top = if look.titles { 0.6 * margin } else { 0.4 * margin };
        if look.titles {
            top += style::TITLE.size;
            for line in style::TITLE.wrap(title, room) {
                figure.text(&line, (margin, top), style::TITLE, Align::Start);
                top += style::LINE * style::TITLE.size;
            }
            top -= 8.0;
            for line in style::SUBTITLE.wrap(&figure.subtitle.clone(), room) {
                figure.text(&line, (margin, top), style::SUBTITLE, Align::Start);
                top += style::LINE * style::SUBTITLE.size;
            }
            top -= 14.0;
        }
        figure.top = top.round();
        figure.height = (figure.top + height).ceil();
        figure
    }

    /// The caption as it stands beside the files: title, subtitle and caption.
    pub fn whole_caption(&self) -> String {
        format!("{}. {}. {}\n", self.title, self.subtitle, self.caption)
    }

    /// Moves a point of the content to its place on the figure.
    fn placed(&self, (x, y): Point) -> Point {
        (x, y + self.top)
    }

    fn all_placed(&self, points: Vec<Point>) -> Vec<Point> {
        points.into_iter().map(|point| self.placed(point)).collect()
    }

    /// Draws a polyline.
    pub fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        self.marks.push(Mark::Line { points: self.all_placed(points), stroke });
    }

    /// Draws a dashed polyline.
    pub fn dashed(&mut self, points: &[Point], pattern: Dashes, stroke: Stroke) {
        for dash in dashes(points, pattern) {
            self.line(dash, stroke);
        }
    }

    /// Fills a polygon.
    pub fn area(&mut self, points: Vec<Point>, color: Color, opacity: f64) {
        self.marks.push(Mark::Area { points: self.all_placed(points), color, opacity });
    }

    /// Fills an axis-aligned rectangle, given two opposite corners.
    pub fn rectangle(&mut self, (x0, y0): Point, (x1, y1): Point, color: Color, opacity: f64) {
        self.area(vec![(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, opacity);
    }

    /// Fills a circle.
    pub fn disc(&mut self, centre: Point, radius: f64, color: Color, opacity: f64) {
        self.marks.push(Mark::Disc { centre: self.placed(centre), radius, color, opacity });
    }

    /// Writes text on a baseline.
    pub fn text(&mut self, text: &str, at: Point, font: Font, align: Align) {
        let at = self.placed(at);
        self.marks.push(Mark::Text { text: printable(text).into_owned(), at, font, align, upwards: false });
    }

    /// Writes text whose capitals are vertically centred on a point.
    pub fn text_centred(&mut self, text: &str, (x, y): Point, font: Font, align: Align) {
        self.text(text, (x, y + style::HALF_CAPITAL * font.size), font, align);
    }

    /// Writes text rotated to read upwards, its capitals centred on a point; aligned, it starts or ends there.
    pub fn text_upwards(&mut self, text: &str, (x, y): Point, font: Font, align: Align) {
        let at = self.placed((x + style::HALF_CAPITAL * font.size, y));
        self.marks.push(Mark::Text { text: printable(text).into_owned(), at, font, align, upwards: true });
    }

    /// Draws an image with its top left corner at a point, scaled to a size.
    pub fn image(&mut self, at: Point, size: Point, raster: Raster) {
        let at = self.placed(at);
        self.marks.push(Mark::Image { at, size, raster });
    }
}

/// Cuts a polyline into dashes of equal length along it, bending with it.
fn dashes(points: &[Point], Dashes { on, off, phase }: Dashes) -> Vec<Vec<Point>> {
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
            // Rounding may leave the position just short of its end, and the next step without length.
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
        let straight = dashes(&[(0.0, 0.0), (10.0, 0.0)], Dashes::new(3.0, 2.0));
        assert_eq!(straight, [[(0.0, 0.0), (3.0, 0.0)], [(5.0, 0.0), (8.0, 0.0)]]);
        let bent = dashes(&[(0.0, 0.0), (2.0, 0.0), (2.0, 3.0)], Dashes::new(3.0, 2.0));
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
        let part = |part: i32| Dashes { phase: -5.0 * f64::from(part), ..Dashes::new(5.0, 15.0) };
        let all: f64 = (0..4).map(|number| length(dashes(&line, part(number)))).sum();
        assert!((all - 58.0).abs() < 1e-9, "{all}");
    }
}
