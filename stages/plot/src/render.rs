//! From marks to pictures: a PNG and an SVG of the same figure, both drawn by one function.

use ab_glyph::Font as _;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::canvas::{Align, Figure, Mark, Point, Raster};
use crate::style::{self, Color};

/// A figure's pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// The bytes of a PNG with one pixel for each logical pixel.
    pub png: Vec<u8>,
    /// An SVG.
    pub svg: String,
}

/// A picture could not be drawn: a defect, since it is drawn in memory.
#[derive(Debug, thiserror::Error)]
#[error("the figure `{figure}` could not be drawn: {reason}")]
pub struct Failure {
    figure: &'static str,
    reason: String,
}

/// How a backend draws.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Pixels. Strokes are put together here and letters are set here, since the library does neither well.
    Bitmap,
    /// Shapes and words, for a viewer to draw.
    Vector,
}

/// Pixels for a logical pixel: the bitmap is drawn larger and averaged, because the library's own edges are rough.
const OVERSAMPLING: usize = 3;

impl Manner {
    /// Units of the backend for a logical pixel. It knows whole units only: more of them are finer.
    const fn scale(self) -> f64 {
        match self {
            Manner::Bitmap => OVERSAMPLING as f64,
            Manner::Vector => 4.0,
        }
    }
}

/// Draws a figure both ways.
pub fn pictures(figure: &Figure) -> Result<Pictures, Failure> {
    Ok(Pictures { png: png(figure)?, svg: svg(figure)? })
}

fn png(figure: &Figure) -> Result<Vec<u8>, Failure> {
    let (width, height) = (figure.width as usize, figure.height as usize);
    let (fine_width, fine_height) = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut fine = vec![0; fine_width * fine_height * 3];
    {
        let backend = BitMapBackend::with_buffer(&mut fine, (fine_width as u32, fine_height as u32));
        draw(figure, &backend.into_drawing_area(), Manner::Bitmap).map_err(failed(figure))?;
    }
    let mut pixels = vec![0; width * height * 3];
    for (number, channel) in pixels.iter_mut().enumerate() {
        let (x, y, part) = (number / 3 % width, number / 3 / width, number % 3);
        let sum: usize = (0..OVERSAMPLING * OVERSAMPLING)
            .map(|cell| {
                let (x, y) = (x * OVERSAMPLING + cell % OVERSAMPLING, y * OVERSAMPLING + cell / OVERSAMPLING);
                usize::from(fine[(y * fine_width + x) * 3 + part])
            })
            .sum();
        *channel = ((sum + OVERSAMPLING * OVERSAMPLING / 2) / (OVERSAMPLING * OVERSAMPLING)) as u8;
    }
    encode((width, height), &pixels, None).map_err(failed(figure))
}

fn svg(figure: &Figure) -> Result<String, Failure> {
    let size = ((figure.width * Manner::Vector.scale()) as u32, (figure.height * Manner::Vector.scale()) as u32);
    let mut drawn = String::new();
    {
        let backend = SVGBackend::with_string(&mut drawn, size);
        draw(figure, &backend.into_drawing_area(), Manner::Vector).map_err(failed(figure))?;
    }
    // The library knows neither titles, round joints nor images. Images lie behind all else, directly on the paper.
    let after_root = drawn.find(">\n").map_or(0, |end| end + 2);
    let after_paper = drawn[after_root..].find(">\n").map_or(after_root, |end| after_root + end + 2);
    let mut whole = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" \
         stroke-linejoin=\"round\">\n<title>{}</title>\n",
        figure.width,
        figure.height,
        size.0,
        size.1,
        crate::html::escape(&figure.title)
    );
    whole.push_str(&drawn[after_root..after_paper]);
    for mark in &figure.marks {
        if let Mark::Image { at, size, raster } = mark {
            let palette: Vec<u8> = raster.palette.iter().flat_map(|color| [color.0, color.1, color.2]).collect();
            let bytes = encode((raster.columns, raster.rows), &raster.cells, Some(&palette)).map_err(failed(figure))?;
            let [x, y, width, height] =
                [at.0, at.1, size.0, size.1].map(|length| (length * Manner::Vector.scale()).round());
            whole.push_str(&format!(
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                 style=\"image-rendering:pixelated\" href=\"{}\"/>\n",
                data_uri(&bytes)
            ));
        }
    }
    whole.push_str(&drawn[after_paper..]);
    Ok(whole)
}

/// A PNG as a URI that needs no file.
pub fn data_uri(png: &[u8]) -> String {
    use base64::Engine as _;
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png))
}

fn draw<DB: DrawingBackend>(
    figure: &Figure,
    area: &DrawingArea<DB, Shift>,
    manner: Manner,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    area.fill(&rgb(style::PAPER))?;
    let images = figure.marks.iter().filter(|mark| matches!(mark, Mark::Image { .. }));
    let others = figure.marks.iter().filter(|mark| !matches!(mark, Mark::Image { .. }));
    for mark in images.chain(others) {
        draw_mark(mark, area, manner)?;
    }
    area.present()
}

fn draw_mark<DB: DrawingBackend>(
    mark: &Mark,
    area: &DrawingArea<DB, Shift>,
    manner: Manner,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let unit = |length: f64| (length * manner.scale()).round() as i32;
    let point = |point: &Point| (unit(point.0), unit(point.1));
    match mark {
        Mark::Line { points, color, width } if manner == Manner::Vector => {
            let stroke = rgb(*color).stroke_width(unit(*width).max(1) as u32);
            area.draw(&PathElement::new(points.iter().map(point).collect::<Vec<_>>(), stroke))
        }
        Mark::Line { points, color, width } => {
            let half = width * 0.5;
            for leg in points.windows(2) {
                area.draw(&Polygon::new(leg_corners(leg[0], leg[1], half).map(|corner| point(&corner)), rgb(*color)))?;
            }
            let joints = points.get(1..points.len().saturating_sub(1)).unwrap_or_default();
            for joint in joints.iter().filter(|_| *width > 1.6) {
                area.draw(&Circle::new(point(joint), unit(half), rgb(*color).filled()))?;
            }
            Ok(())
        }
        Mark::Area { points, color, opacity } => {
            area.draw(&Polygon::new(points.iter().map(point).collect::<Vec<_>>(), rgb(*color).mix(*opacity)))
        }
        Mark::Disc { centre, radius, color, opacity } => {
            area.draw(&Circle::new(point(centre), unit(*radius), rgb(*color).mix(*opacity).filled()))
        }
        Mark::Text { .. } if manner == Manner::Bitmap => draw_letters(mark, area),
        Mark::Text { text, at, font, align, upwards } => {
            let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
            let turn = if *upwards { FontTransform::Rotate270 } else { FontTransform::None };
            let horizontal = match align {
                Align::Start => HPos::Left,
                Align::Middle => HPos::Center,
                Align::End => HPos::Right,
            };
            // The library writes text at size / 1.24, and half an ex below where it is anchored in the middle.
            let (size, rise) = (1.24 * font.size * manner.scale(), 0.268 * font.size);
            let color = rgb(font.color);
            let style = TextStyle::from(FontDesc::new(FontFamily::Name(style::FAMILY), size, weight).transform(turn))
                .color(&color)
                .pos(Pos::new(horizontal, VPos::Center));
            let at = if *upwards { (at.0 - rise, at.1) } else { (at.0, at.1 - rise) };
            area.draw(&Text::new(text.as_str(), point(&at), style))
        }
        // An SVG's images are put in afterwards.
        Mark::Image { .. } if manner == Manner::Vector => Ok(()),
        Mark::Image { at, size, raster } => draw_image(point(at), point(size), raster, area),
    }
}

/// Sets a text's letters pixel by pixel.
fn draw_letters<DB: DrawingBackend>(
    mark: &Mark,
    area: &DrawingArea<DB, Shift>,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let Mark::Text { text, at, font, align, upwards } = mark else { return Ok(()) };
    let pixels = Manner::Bitmap.scale();
    let (letters, width) = font.letters(text);
    let start = match align {
        Align::Start => 0.0,
        Align::Middle => -width / 2.0,
        Align::End => -width,
    };
    let (origin_x, origin_y) = (at.0 * pixels, at.1 * pixels);
    let (face, scale, color) = (font.face(), font.scale(pixels), rgb(font.color));
    for (letter, along) in letters {
        let along = ((start + along) * pixels) as f32;
        let Some(outline) = face.outline_glyph(letter.with_scale_and_position(scale, (along, 0.0))) else { continue };
        let corner = outline.px_bounds().min;
        let mut covered = Vec::new();
        outline.draw(|x, y, share| {
            covered.push((f64::from(corner.x) + f64::from(x), f64::from(corner.y) + f64::from(y), share))
        });
        for (x, y, share) in covered {
            let (x, y) = if *upwards { (origin_x + y, origin_y - x) } else { (origin_x + x, origin_y + y) };
            area.draw_pixel((x.round() as i32, y.round() as i32), &color.mix(f64::from(share.min(1.0))))?;
        }
    }
    Ok(())
}

fn draw_image<DB: DrawingBackend>(
    (left, top): (i32, i32),
    (width, height): (i32, i32),
    raster: &Raster,
    area: &DrawingArea<DB, Shift>,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    for y in 0..height {
        for x in 0..width {
            let row = y as usize * raster.rows / height as usize;
            let column = x as usize * raster.columns / width as usize;
            let color = raster.palette[usize::from(raster.cells[row * raster.columns + column])];
            area.draw_pixel((left + x, top + y), &rgb(color))?;
        }
    }
    Ok(())
}

/// The corners of a straight stroke.
fn leg_corners((x0, y0): Point, (x1, y1): Point, half: f64) -> [Point; 4] {
    let length = (x1 - x0).hypot(y1 - y0).max(1e-9);
    let (dx, dy) = ((y1 - y0) / length * half, (x1 - x0) / length * half);
    [(x0 + dx, y0 - dy), (x1 + dx, y1 - dy), (x1 - dx, y1 + dy), (x0 - dx, y0 + dy)]
}

fn rgb(Color(red, green, blue): Color) -> RGBColor {
    RGBColor(red, green, blue)
}

/// The bytes of a PNG: of RGB pixels, or of entries of a palette.
fn encode((width, height): (usize, usize), data: &[u8], palette: Option<&[u8]>) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(if palette.is_some() { png::ColorType::Indexed } else { png::ColorType::Rgb });
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    encoder.write_header()?.write_image_data(data)?;
    Ok(bytes)
}

fn failed<E: std::fmt::Display>(figure: &Figure) -> impl Fn(E) -> Failure + use<E> {
    let name = figure.name;
    move |error| Failure { figure: name, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        let mut figure = Figure::new("sample", "A <title>", "below", String::new(), (200.0, 120.0));
        figure.line(vec![(10.0, 100.0), (190.0, 100.0)], style::VERMILION, 6.0);
        let palette = vec![style::BLUE, style::GREEN];
        let raster = Raster { columns: 2, rows: 1, cells: vec![0, 1], palette };
        figure.image((100.0, 60.0), (40.0, 20.0), raster);
        figure
    }

    #[test]
    fn the_png_has_the_figures_size_and_its_marks_where_they_belong() {
        let png = pictures(&figure()).expect("drawn").png;
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        assert_eq!((info.width, info.height), (200, 120));
        let at = |x: usize, y: usize| {
            Color(pixels[(y * 200 + x) * 3], pixels[(y * 200 + x) * 3 + 1], pixels[(y * 200 + x) * 3 + 2])
        };
        assert_eq!(at(100, 100), style::VERMILION);
        assert_eq!(at(110, 70), style::BLUE);
        assert_eq!(at(130, 70), style::GREEN);
        assert_eq!(at(100, 110), style::PAPER);
    }

    #[test]
    fn the_svg_escapes_its_words_and_carries_its_images() {
        let svg = pictures(&figure()).expect("drawn").svg;
        assert!(svg.contains("<title>A &lt;title&gt;</title>") && !svg.contains("<title>A <title>"));
        assert!(svg.contains("href=\"data:image/png;base64,"));
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
