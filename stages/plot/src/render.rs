//! Renders a figure as one SVG, and that SVG as a PNG.
//!
//! Plotters draws the marks with its SVG backend. Its document is nested in one that adds what plotters cannot draw: a
//! title, round line joins and images. resvg rasterises the result with the embedded font.

use std::sync::{Arc, LazyLock};

use declarations::Theme;
use maud::{PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use resvg::{tiny_skia, usvg};

use crate::canvas::{Align, Figure, Mark, Point, Raster};
use crate::style::{self, Color, Rgb};

/// A figure as files.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// The bytes of a PNG, one pixel per logical pixel on a page, three on paper.
    pub png: Vec<u8>,
    /// An SVG document.
    pub svg: String,
}

/// A figure could not be rendered. This is an internal error: rendering does no I/O.
#[derive(Debug, thiserror::Error)]
#[error("cannot render the figure `{figure}`: {reason}")]
pub struct RenderError {
    figure: &'static str,
    reason: String,
}

/// SVG user units per logical pixel: plotters' coordinates are whole numbers.
const UNITS: f64 = 4.0;

/// The vertical distance from the point where plotters anchors text to its baseline, in em: half an x-height, which is
/// 0.5 em by definition where a renderer does not ask the font (resvg), and 0.536 em in Noto Sans.
const ANCHOR_TO_BASELINE: f64 = 0.26;

/// Samples per pixel and axis where there are images: resvg takes a single sample of an image per pixel, so cells of 1.5
/// pixels would be one pixel wide or two.
const IMAGE_OVERSAMPLING: usize = 2;

/// Fonts for resvg: the embedded one alone, so that pictures do not depend on the machine.
static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    for bytes in [notosans::REGULAR_TTF, notosans::BOLD_TTF] {
        fonts.load_font_source(usvg::fontdb::Source::Binary(Arc::new(bytes)));
    }
    usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() }
});

/// Renders a figure.
///
/// # Errors
/// If one of the libraries rejects the figure.
pub fn pictures(figure: &Figure) -> Result<Pictures, RenderError> {
    let svg = svg(figure).map_err(failed(figure))?;
    let has_images = figure.marks.iter().any(|mark| matches!(mark, Mark::Image { .. }));
    let scale = u32::from(figure.look.png_scale());
    let picture = Picture { svg: &svg, figure, scale };
    // At three pixels per logical one, an image's cells are many pixels wide.
    let png = if has_images && scale == 1 { png::<IMAGE_OVERSAMPLING>(&picture) } else { png::<1>(&picture) };
    let png = png.map_err(failed(figure))?;
    Ok(Pictures { png, svg })
}

/// An SVG to rasterise.
struct Picture<'figure> {
    svg: &'figure str,
    figure: &'figure Figure,
    /// Pixels per logical pixel and axis.
    scale: u32,
}

type Reason = Box<dyn std::error::Error>;

fn svg(figure: &Figure) -> Result<String, Reason> {
    let [width, height] = [figure.width, figure.height].map(|length| (length * UNITS).round() as u32);
    let mut marks = String::new();
    {
        let area = SVGBackend::with_string(&mut marks, (width, height)).into_drawing_area();
        let theme = figure.look.theme;
        figure.marks.iter().try_for_each(|mark| draw(mark, theme, &area)).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    let mut images = Vec::new();
    for mark in &figure.marks {
        if let Mark::Image { at, size, raster } = mark {
            images.push(([at.0, at.1, size.0, size.1].map(units), data_uri(&indexed_png(raster, figure.look.theme)?)));
        }
    }
    let Rgb(red, green, blue) = Color::Paper.of(figure.look.theme);
    let length = |pixels: f64| match figure.look.millimetres() {
        Some(of_width) => format!("{}mm", pixels * of_width / figure.width),
        None => pixels.to_string(),
    };
    let document = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(length(figure.width)) height=(length(figure.height))
            viewBox={ "0 0 " (width) " " (height) } role="img" stroke-linejoin="round" {
            title { (figure.title) }
            @if figure.look.theme != Theme::Print {
                rect width=(width) height=(height) fill={ "rgb(" (red) "," (green) "," (blue) ")" } {}
            }
            @for ([x, y, width, height], uri) in &images {
                image x=(x) y=(y) width=(width) height=(height) preserveAspectRatio="none"
                    style="image-rendering:pixelated" href=(uri) {}
            }
            // An SVG document of plotters, which escapes its text.
            (PreEscaped(&marks))
        }
    };
    Ok(document.into_string())
}

/// Rasterises an SVG with `SIDE`² samples per pixel beside the renderer's own antialiasing.
fn png<const SIDE: usize>(picture: &Picture<'_>) -> Result<Vec<u8>, Reason> {
    let Picture { svg, figure, scale } = *picture;
    let tree = usvg::Tree::from_str(svg, &OPTIONS)?;
    let (width, height) = (figure.width.round() as u32 * scale, figure.height.round() as u32 * scale);
    // One or two.
    let side = SIDE as u32;
    let mut samples = tiny_skia::Pixmap::new(width * side, height * side).ok_or("it has no area")?;
    let Rgb(red, green, blue) = Color::Paper.of(figure.look.theme);
    samples.fill(tiny_skia::Color::from_rgba8(red, green, blue, 255));
    let stretch = |pixels: u32, length: f32| (pixels * side) as f32 / length;
    let scaled =
        tiny_skia::Transform::from_scale(stretch(width, tree.size().width()), stretch(height, tree.size().height()));
    resvg::render(&tree, scaled, &mut samples.as_mut());
    let rgb = averaged::<SIDE>(&samples);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    if let Some(millimetres) = figure.look.millimetres() {
        let per_metre = (f64::from(width) / millimetres * 1000.0).round() as u32;
        let (xppu, yppu) = (per_metre, per_metre);
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu, yppu, unit: png::Unit::Meter }));
    }
    encoder.write_header()?.write_image_data(&rgb)?;
    Ok(bytes)
}

/// The mean of each block of `SIDE` × `SIDE` samples as RGB; the background is opaque, so alpha is dropped. The
/// side is a constant, so that the compiler can divide by shifting.
fn averaged<const SIDE: usize>(samples: &tiny_skia::Pixmap) -> Vec<u8> {
    let (width, count) = (samples.width() as usize, SIDE * SIDE);
    let mut rgb = Vec::with_capacity(3 * samples.pixels().len() / count);
    let mut sums = vec![[0; 3]; width / SIDE];
    for rows in samples.data().chunks_exact(4 * width * SIDE) {
        sums.fill([0; 3]);
        for row in rows.chunks_exact(4 * width) {
            for (sum, block) in sums.iter_mut().zip(row.chunks_exact(4 * SIDE)) {
                for sample in block.chunks_exact(4) {
                    sum.iter_mut().zip(sample).for_each(|(sum, value)| *sum += usize::from(*value));
                }
            }
        }
        // A mean of bytes is a byte.
        rgb.extend(sums.iter().flatten().map(|sum| ((sum + count / 2) / count) as u8));
    }
    rgb
}

/// A PNG as a data URI.
pub fn data_uri(png: &[u8]) -> String {
    use base64::Engine as _;
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png))
}

/// A length in SVG user units.
fn units(length: f64) -> i32 {
    (length * UNITS).round() as i32
}

fn draw<DB: DrawingBackend>(
    mark: &Mark,
    theme: Theme,
    area: &DrawingArea<DB, Shift>,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let unsigned = |length: f64| (length * UNITS).round().max(1.0) as u32;
    let position = |point: &Point| (units(point.0), units(point.1));
    let rgb = |color: Color| {
        let Rgb(red, green, blue) = color.of(theme);
        RGBColor(red, green, blue)
    };
    match mark {
        Mark::Line { points, stroke } => {
            let style = rgb(stroke.color).mix(stroke.opacity).stroke_width(unsigned(stroke.width));
            area.draw(&PathElement::new(points.iter().map(position).collect::<Vec<_>>(), style))
        }
        Mark::Area { points, color, opacity } => {
            area.draw(&Polygon::new(points.iter().map(position).collect::<Vec<_>>(), rgb(*color).mix(*opacity)))
        }
        Mark::Disc { centre, radius, color, opacity } => {
            area.draw(&Circle::new(position(centre), unsigned(*radius), rgb(*color).mix(*opacity).filled()))
        }
        Mark::Text { text, at, font, align, upwards } => {
            let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
            let rotation = if *upwards { FontTransform::Rotate270 } else { FontTransform::None };
            let horizontal = match align {
                Align::Start => HPos::Left,
                Align::Middle => HPos::Center,
                Align::End => HPos::Right,
            };
            // Plotters divides font sizes by 1.24.
            let (size, rise) = (1.24 * font.size * UNITS, ANCHOR_TO_BASELINE * font.size);
            let color = rgb(font.color);
            let style =
                TextStyle::from(FontDesc::new(FontFamily::Name(style::FAMILY), size, weight).transform(rotation))
                    .color(&color)
                    .pos(Pos::new(horizontal, VPos::Center));
            let at = if *upwards { (at.0 - rise, at.1) } else { (at.0, at.1 - rise) };
            area.draw(&Text::new(text.as_str(), position(&at), style))
        }
        // Part of the enclosing document.
        Mark::Image { .. } => Ok(()),
    }
}

/// How opaque the cells of a raster are that have no value, of 255: on the page's dark background they are dark too.
const NO_VALUE_ALPHA: u8 = 64;

/// The bytes of a PNG with the raster's palette. Greys, which are not of its scale, are translucent colours that on paper are those.
fn indexed_png(raster: &Raster, theme: Theme) -> Result<Vec<u8>, Reason> {
    let is_grey = |color: &Color| matches!(color, Color::Grid | Color::Faint);
    let channels = |color: &Color| {
        let (Rgb(red, green, blue), Rgb(paper_red, paper_green, paper_blue)) =
            (color.of(theme), Color::Paper.of(theme));
        let share = f64::from(NO_VALUE_ALPHA) / 255.0;
        let seen = |(channel, paper): (u8, u8)| match color {
            // A value of 0 to 255.
            color if is_grey(color) => {
                (f64::from(paper) + (f64::from(channel) - f64::from(paper)) / share).round() as u8
            }
            _ => channel,
        };
        [(red, paper_red), (green, paper_green), (blue, paper_blue)].map(seen)
    };
    let palette: Vec<u8> = raster.palette.iter().flat_map(channels).collect();
    let opacity = |color: &Color| if is_grey(color) { NO_VALUE_ALPHA } else { u8::MAX };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, raster.columns.try_into()?, raster.rows.try_into()?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette);
    if raster.palette.iter().any(is_grey) {
        encoder.set_trns(raster.palette.iter().map(opacity).collect::<Vec<u8>>());
    }
    encoder.write_header()?.write_image_data(&raster.cells)?;
    Ok(bytes)
}

fn failed(figure: &Figure) -> impl Fn(Reason) -> RenderError {
    let figure = figure.name;
    move |reason| RenderError { figure, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use declarations::{FigureName, FigureWidth};

    use super::*;
    use crate::canvas::Heading;
    use crate::style::{Look, Stroke};

    fn figure(look: Look) -> Figure {
        let heading = Heading {
            name: FigureName::Findings,
            title: "A <title>",
            subtitle: "\u{1}<b>&\"'".into(),
            caption: String::new(),
            columns: &[],
        };
        let mut figure = Figure::new(look, heading, 100.0);
        figure.line(vec![(10.0, 80.0), (190.0, 80.0)], Stroke::new(style::VERMILION, 6.0));
        let palette = vec![style::BLUE, style::GREEN];
        let raster = Raster { columns: 2, rows: 1, cells: vec![0, 1], palette };
        figure.image((140.0, 50.0), (40.0, 20.0), raster);
        figure
    }

    /// The pixels of a PNG, and its size.
    fn decoded(png: &[u8]) -> (Vec<Rgb>, u32, u32) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        (pixels.chunks_exact(3).map(|pixel| Rgb(pixel[0], pixel[1], pixel[2])).collect(), info.width, info.height)
    }

    #[test]
    fn the_png_has_the_figures_size_and_marks() {
        let figure = figure(Look::default());
        let top = figure.height as usize - 100;
        let (pixels, width, height) = decoded(&pictures(&figure).expect("rendered").png);
        assert_eq!((f64::from(width), f64::from(height)), (1600.0, figure.height));
        let at = |x: usize, y: usize| pixels[(top + y) * 1600 + x];
        let light = |color: Color| color.of(Theme::Light);
        assert_eq!(at(100, 80), light(style::VERMILION));
        assert_eq!(at(150, 60), light(style::BLUE));
        assert_eq!(at(170, 60), light(style::GREEN));
        assert_eq!(at(100, 95), light(Color::Paper));
        // The stem of the title's “t”, in the embedded font: without it there would be no text.
        assert!(pixels[..top * 1600].iter().filter(|color| **color == light(Color::Ink)).count() > 100);
    }

    #[test]
    fn on_paper_a_figure_has_the_width_of_a_column_and_no_title() {
        let look = Look { width: FigureWidth::OneColumn, theme: Theme::Print, titles: false };
        let figure = figure(look);
        let Pictures { png, svg } = pictures(&figure).expect("rendered");
        let (pixels, width, height) = decoded(&png);
        assert_eq!((width, height), (3 * 680, 3 * figure.height as u32));
        assert_eq!(pixels[0], Rgb(255, 255, 255));
        let document = roxmltree::Document::parse(&svg).expect("XML");
        assert_eq!(document.root_element().attribute("width"), Some("85mm"));
        assert!(!svg.contains("<rect") && !svg.contains("<text"), "no background, no title");
    }

    #[test]
    fn the_svg_escapes_its_text_and_contains_its_images() {
        let svg = pictures(&figure(Look::default())).expect("rendered").svg;
        let document = roxmltree::Document::parse(&svg).expect("XML");
        let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).map(str::trim).collect();
        assert!(texts.contains(&"A <title>") && texts.contains(&"\u{FFFD}<b>&\"'"), "{texts:?}");
        let images = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "image")));
        let sources: Vec<_> = images.filter_map(|image| image.attribute("href")).collect();
        assert!(matches!(sources[..], [source] if source.starts_with("data:image/png;base64,")), "{sources:?}");
    }
}
