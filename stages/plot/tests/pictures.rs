//! Every figure of a synthetic study against reviewed ones, `tests/golden/FIGURE.LOOK.txt` and `.png`: all of its text and the
//! number of its marks must be the same, and the picture, averaged over blocks of pixels, nearly. An average forgives what font
//! and edge rendering change; it does not forgive a line, a colour or a label elsewhere.
//!
//! `PLOT_GOLDEN=write cargo test --release --test pictures` writes them anew. Then look at what changed: each figure in full is in
//! `target/tmp/plot`.

mod synthetic;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use declarations::plot::{Parameters, Plot};
use declarations::{Execution, FigureName, FigureWidth, Job, Theme};
use plot::canvas::Figure;
use plot::inputs::Inputs;
use plot::style::Look;
use rayon::prelude::*;
use schemas::{Artifacts, Partition};

/// Pixels of a picture that become one of its golden thumbnail, per axis.
const BLOCK: usize = 20;
/// The mean difference of a channel that a picture may have from its thumbnail, of 255, and the share of its channels that may
/// differ by more than [`MUCH`].
const MEAN: f64 = 0.8;
const MUCH: f64 = 24.0;
const SHARE: f64 = 0.004;

const PAGE: Look = Look { width: FigureWidth::Page, theme: Theme::Light, titles: true };
const COLUMN: Look = Look { width: FigureWidth::OneColumn, theme: Theme::Print, titles: false };
const DARK: Look = Look { width: FigureWidth::TwoColumns, theme: Theme::Dark, titles: true };

/// The golden figures: all on a page and in a column, some in the dark.
fn all() -> Vec<(FigureName, &'static str, Look)> {
    let figures = |name: &'static str, look: Look| FigureName::ALL.iter().map(move |figure| (*figure, name, look));
    let dark = [FigureName::AttentionMetrics, FigureName::Correlations].map(|figure| (figure, "dark", DARK));
    figures("page", PAGE).chain(figures("column", COLUMN)).chain(dark).collect()
}

#[test]
fn figures_are_as_reviewed() {
    let folder = tempfile::tempdir().expect("a folder");
    let study = synthetic::study(&[1337, 1338, 1339], "0,50,100-2000/100");
    synthetic::write(&Artifacts::new(folder.path()), &study);
    let Look { width, theme, titles } = Look::default();
    let parameters = Parameters { study, only: None, steps: None, width, theme, titles, list: None, so_far: None };
    let job: Job<Plot> = Job::new(folder.path(), Partition::study(), parameters, Execution::default());
    let inputs = Inputs::read(&job.inputs, &job.parameters).expect("read");
    let dataset = &inputs.datasets[0];
    let differences: Vec<String> = all()
        .par_iter()
        .flat_map(|(name, look_name, look)| {
            let figure = plot::figures::figure(*name, dataset, *look).expect("the study has its tables");
            differences(&format!("{name}.{look_name}"), &figure)
        })
        .collect();
    assert!(differences.is_empty(), "see {}:\n{}", actual().display(), differences.join("\n"));
}

/// Where every figure is in full.
fn actual() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plot")
}

/// How a figure differs from its golden structure and picture.
fn differences(name: &str, figure: &Figure) -> Vec<String> {
    let pictures = plot::render::pictures(figure).expect("rendered");
    fs::create_dir_all(actual()).expect("a folder");
    fs::write(actual().join(format!("{name}.png")), &pictures.png).expect("written");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let [text, picture] = ["txt", "png"].map(|ending| golden.join(format!("{name}.{ending}")));
    let (structure, thumbnail) = (structure(&pictures.svg), Thumbnail::of(&pictures.png));
    if std::env::var_os("PLOT_GOLDEN").is_some_and(|value| value == "write") {
        fs::create_dir_all(&golden).expect("a folder");
        fs::write(&text, &structure).expect("written");
        fs::write(&picture, thumbnail.png()).expect("written");
    }
    let mut differences = Vec::new();
    if !Thumbnail::decoded(&pictures.png, 1).has_a_margin() {
        differences.push(format!("{name}: something is cut off at an edge"));
    }
    let expected = fs::read_to_string(&text).expect("a golden structure");
    let lines = expected.lines().zip(structure.lines()).find(|(one, other)| one != other);
    if let Some((expected, found)) = lines {
        differences.push(format!("{name}: expected “{expected}”, found “{found}”"));
    } else if expected != structure {
        differences.push(format!(
            "{name}: it has {} lines instead of {}",
            structure.lines().count(),
            expected.lines().count()
        ));
    }
    let expected = Thumbnail::decoded(&fs::read(&picture).expect("a golden picture"), 1);
    differences.extend(thumbnail.difference(&expected).map(|difference| format!("{name}: {difference}")));
    differences
}

/// The size of an SVG, how many of each mark it has, and all of its text, line by line.
fn structure(svg: &str) -> String {
    let document = roxmltree::Document::parse(svg).expect("XML");
    let root = document.root_element();
    let size = ["width", "height"].map(|name| root.attribute(name).expect("a size"));
    let mut marks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts = String::new();
    for node in root.descendants().filter(roxmltree::Node::is_element) {
        *marks.entry(node.tag_name().name()).or_default() += 1;
        if node.has_tag_name(("http://www.w3.org/2000/svg", "text")) {
            writeln!(texts, "{}", node.text().unwrap_or_default().trim()).expect("memory");
        }
    }
    let marks: Vec<String> = marks.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{} × {}\n{}\n{texts}", size[0], size[1], marks.join(", "))
}

/// A picture of few pixels.
struct Thumbnail {
    width: usize,
    channels: Vec<f64>,
}

impl Thumbnail {
    /// The means of a picture's blocks.
    fn of(png: &[u8]) -> Self {
        Self::decoded(png, BLOCK)
    }

    fn decoded(png: &[u8], block: usize) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        let (width, height) = (info.width as usize / block, info.height as usize / block);
        let mut channels = vec![0.0; width * height * 3];
        for (y, row) in pixels.chunks_exact(info.width as usize * 3).take(height * block).enumerate() {
            for (x, pixel) in row.chunks_exact(3).take(width * block).enumerate() {
                let at = 3 * (y / block * width + x / block);
                (0..3).for_each(|channel| channels[at + channel] += f64::from(pixel[channel]));
            }
        }
        channels.iter_mut().for_each(|sum| *sum = (*sum / (block * block) as f64).round());
        Self { width, channels }
    }

    /// Whether the outermost pixels all have the same colour.
    fn has_a_margin(&self) -> bool {
        let pixels: Vec<&[f64]> = self.channels.chunks_exact(3).collect();
        let rows = pixels.chunks_exact(self.width);
        let last = rows.len().saturating_sub(1);
        rows.enumerate().all(|(y, row)| {
            let edge = if y == 0 || y == last { row.to_vec() } else { vec![row[0], row[self.width - 1]] };
            edge.iter().all(|pixel| *pixel == pixels[0])
        })
    }

    fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let height = self.channels.len() / (3 * self.width);
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let channels: Vec<u8> = self.channels.iter().map(|channel| *channel as u8).collect();
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&channels)).expect("written");
        bytes
    }

    /// How it differs by more than rendering explains.
    fn difference(&self, expected: &Self) -> Option<String> {
        if (self.width, self.channels.len()) != (expected.width, expected.channels.len()) {
            return Some("the picture has another size".to_owned());
        }
        let apart = || self.channels.iter().zip(&expected.channels).map(|(one, other)| (one - other).abs());
        let mean = apart().sum::<f64>() / self.channels.len() as f64;
        let share = apart().filter(|apart| *apart > MUCH).count() as f64 / self.channels.len() as f64;
        (mean > MEAN || share > SHARE)
            .then(|| format!("the picture differs by {mean:.2} on average, by much in {:.2} % of it", 100.0 * share))
    }
}

#[test]
fn a_picture_that_differs_is_noticed() {
    let channels = vec![200.0; 80 * 50 * 3];
    let golden = Thumbnail { width: 80, channels: channels.clone() };
    let mut shifted = Thumbnail { width: 80, channels };
    // Rendering: a little everywhere.
    shifted.channels.iter_mut().step_by(2).for_each(|channel| *channel += 1.0);
    assert_eq!(shifted.difference(&golden), None);
    // A label elsewhere: much in a few blocks.
    shifted.channels[..60].iter_mut().for_each(|channel| *channel -= 90.0);
    assert!(shifted.difference(&golden).expect("a difference").contains("by much in"));
    let taller = Thumbnail { width: 80, channels: vec![200.0; 80 * 51 * 3] };
    assert!(taller.difference(&golden).expect("a difference").contains("size"));
}
