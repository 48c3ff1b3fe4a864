//! Writes a figure as a PDF of one page: vectors, text as text in the embedded fonts, of which the used glyphs are embedded.

use std::sync::LazyLock;

use declarations::Theme;
use krilla::color::rgb;
use krilla::geom::{Path, PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, LineJoin, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use krilla::{Document, SerializeSettings};

use crate::canvas::{self, Align, Figure, Mark, Raster};
use crate::style::{self, Color, Rgb};

/// Points per logical pixel of a page on a screen, and points per millimetre.
const PER_PIXEL: f64 = 0.75;
const PER_MILLIMETRE: f64 = 72.0 / 25.4;

static FONTS: LazyLock<Option<[Font; 2]>> =
    LazyLock::new(|| Some([Font::new(notosans::REGULAR_TTF.into(), 0)?, Font::new(notosans::BOLD_TTF.into(), 0)?]));

/// A figure as a PDF.
///
/// # Errors
/// Why the library rejects the figure, which is an internal error.
pub fn pdf(figure: &Figure) -> Result<Vec<u8>, String> {
    let scale = figure.look.millimetres().map_or(PER_PIXEL, |width| width * PER_MILLIMETRE / figure.width);
    let points = |pixels: f64| (pixels * scale) as f32;
    let (width, height) = (points(figure.width), points(figure.height));
    let fonts = FONTS.as_ref().ok_or("the embedded fonts cannot be parsed")?;
    let mut document = Document::new_with(SerializeSettings::default());
    document.set_metadata(Metadata::new().title(figure.title.to_owned()).description(figure.caption.clone()));
    let mut page = document.start_page_with(PageSettings::from_wh(width, height).ok_or("it has no area")?);
    let mut surface = page.surface();
    let scale = scale as f32;
    surface.push_transform(&Transform::from_scale(scale, scale));
    let mut page_of = Page { surface: &mut surface, theme: figure.look.theme, fonts };
    if figure.look.theme != Theme::Print {
        let paper = Rect::from_xywh(0.0, 0.0, figure.width as f32, figure.height as f32);
        let mut path = PathBuilder::new();
        path.push_rect(paper.ok_or("it has no area")?);
        page_of.fill(path.finish(), Color::Paper, 1.0);
    }
    let (images, others): (Vec<&Mark>, _) = figure.marks.iter().partition(|mark| matches!(mark, Mark::Image { .. }));
    images.into_iter().chain(others).for_each(|mark| page_of.draw(mark));
    surface.pop();
    surface.finish();
    page.finish();
    document.finish().map_err(|error| format!("{error:?}"))
}

/// A page to draw on.
struct Page<'page, 'document> {
    surface: &'page mut Surface<'document>,
    theme: Theme,
    fonts: &'static [Font; 2],
}

impl Page<'_, '_> {
    fn draw(&mut self, mark: &Mark) {
        match mark {
            Mark::Line { points, stroke } => {
                self.surface.set_fill(None);
                self.surface.set_stroke(Some(Stroke {
                    paint: self.color(stroke.color).into(),
                    width: stroke.width as f32,
                    opacity: opacity(stroke.opacity),
                    line_join: LineJoin::Round,
                    ..Stroke::default()
                }));
                if let Some(path) = polyline(points, false) {
                    self.surface.draw_path(&path);
                }
            }
            Mark::Area { points, color, opacity } => self.fill(polyline(points, true), *color, *opacity),
            Mark::Disc { centre, radius, color, opacity } => self.fill(circle(*centre, *radius), *color, *opacity),
            Mark::Text { text, at, font, align, upwards } => self.text(text, *at, *font, (*align, *upwards)),
            Mark::Image { at, size, raster } => {
                let image = Image::from_rgba8(self.pixels(raster), raster.columns as u32, raster.rows as u32);
                let Some(size) = Size::from_wh(size.0 as f32, size.1 as f32) else { return };
                self.surface.push_transform(&Transform::from_translate(at.0 as f32, at.1 as f32));
                self.surface.draw_image(image, size);
                self.surface.pop();
            }
        }
    }

    fn fill(&mut self, path: Option<Path>, color: Color, of: f64) {
        self.surface.set_stroke(None);
        let paint = self.color(color).into();
        self.surface.set_fill(Some(Fill { paint, opacity: opacity(of), ..Fill::default() }));
        if let Some(path) = path {
            self.surface.draw_path(&path);
        }
    }

    fn text(&mut self, text: &str, (x, y): canvas::Point, font: style::Font, (align, upwards): (Align, bool)) {
        let before = match align {
            Align::Start => 0.0,
            Align::Middle => font.width(text) / 2.0,
            Align::End => font.width(text),
        };
        self.surface.set_stroke(None);
        let paint = self.color(font.color).into();
        self.surface.set_fill(Some(Fill { paint, ..Fill::default() }));
        self.surface.push_transform(&Transform::from_translate(x as f32, y as f32));
        if upwards {
            self.surface.push_transform(&Transform::from_rotate(-90.0));
        }
        let [regular, bold] = self.fonts;
        let face = if font.bold { bold } else { regular };
        let start = Point::from_xy(-before as f32, 0.0);
        self.surface.draw_text(start, face.clone(), font.size as f32, text, false, TextDirection::Auto);
        if upwards {
            self.surface.pop();
        }
        self.surface.pop();
    }

    fn color(&self, color: Color) -> rgb::Color {
        let Rgb(red, green, blue) = color.of(self.theme);
        rgb::Color::new(red, green, blue)
    }

    /// Red, green, blue and opacity of every cell.
    fn pixels(&self, raster: &Raster) -> Vec<u8> {
        let palette: Vec<[u8; 4]> = raster
            .palette
            .iter()
            .map(|color| {
                let Rgb(red, green, blue) = color.of(self.theme);
                [red, green, blue, 255]
            })
            .collect();
        raster.cells.iter().flat_map(|cell| palette.get(usize::from(*cell)).copied().unwrap_or_default()).collect()
    }
}

fn opacity(of: f64) -> NormalizedF32 {
    NormalizedF32::new(of.clamp(0.0, 1.0) as f32).unwrap_or(NormalizedF32::ONE)
}

fn polyline(points: &[canvas::Point], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// Four cubic Bézier curves, which differ from a circle by less than a thousandth of its radius.
fn circle((x, y): canvas::Point, radius: f64) -> Option<Path> {
    const HANDLE: f64 = 0.552_284_75;
    let at = |dx: f64, dy: f64| ((x + dx * radius) as f32, (y + dy * radius) as f32);
    let mut path = PathBuilder::new();
    let (start_x, start_y) = at(1.0, 0.0);
    path.move_to(start_x, start_y);
    for (dx, dy) in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)] {
        // A quarter turn from (dx, dy) to (−dy, dx).
        let (one, other) = (at(dx - HANDLE * dy, dy + HANDLE * dx), at(-dy + HANDLE * dx, dx + HANDLE * dy));
        let end = at(-dy, dx);
        path.cubic_to(one.0, one.1, other.0, other.1, end.0, end.1);
    }
    path.close();
    path.finish()
}
