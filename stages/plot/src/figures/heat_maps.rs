//! `head_heat_maps`: every metric of every head of the first seed over training, as heat maps of head and step.

use std::collections::BTreeMap;

use cli::number;
use declarations::FigureName;
use schemas::tables::HeadMetrics;
use schemas::{Measure, Table};

use crate::axis::{Panel, Scale, range, steps_label};
use crate::canvas::{Align, Figure, Heading, Raster};
use crate::data::Cell;
use crate::figures::{NO_VALUE, UNIFORM, cell, cell_palette, viridis_palette};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::style::{self, Color, Look, Stroke};

/// The distance between the heat maps of two layers.
const BETWEEN_LAYERS: f64 = 4.0;

/// Where the panels lie: one per metric.
struct Layout {
    left: f64,
    top: f64,
    columns: usize,
    /// The size of a panel with the room that belongs to it.
    pitch: [f64; 2],
    /// The width of a panel.
    width: f64,
    /// The height of a head's row.
    row: f64,
    layers: usize,
    heads: usize,
}

impl Layout {
    /// Above each panel: its heading and its colour scale.
    const HEAD: f64 = 74.0;
    /// Below: tick labels.
    const FOOT: f64 = 52.0;

    fn new(look: Look, layers: usize, heads: usize) -> Self {
        let columns = look.either(4, 2);
        let (left, gap) = (look.margin() + 76.0, 56.0);
        let width = (look.axis_right() - left - gap * (columns - 1) as f64) / columns as f64;
        // Few heads get taller rows.
        let row = (look.either(220.0, 150.0) / (layers * heads).max(1) as f64).clamp(4.0, 16.0).round();
        let height = row * (layers * heads) as f64 + BETWEEN_LAYERS * layers.saturating_sub(1) as f64;
        let pitch = [width + gap, height + Self::HEAD + Self::FOOT];
        Self { left, top: 8.0, columns, pitch, width, row, layers, heads }
    }

    fn panel(&self, index: usize, x: Scale) -> Panel {
        let left = self.left + self.pitch[0] * (index % self.columns) as f64;
        let top = self.top + self.pitch[1] * (index / self.columns) as f64 + Self::HEAD;
        let bottom = top + self.pitch[1] - Self::HEAD - Self::FOOT;
        Panel { left, top, right: left + self.width, bottom, x, y: Scale::new(0.0, 1.0) }
    }

    /// The top and the height of a layer's rows.
    fn layer(&self, panel: &Panel, layer: usize) -> [f64; 2] {
        let height = self.row * self.heads as f64;
        [panel.top + (height + BETWEEN_LAYERS) * layer as f64, height]
    }
}

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Figure {
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let layout = Layout::new(look, attention.layers(), attention.heads());
    let heading = Heading {
        name: FigureName::HeadHeatMaps,
        title: "Metrics of every head over training",
        subtitle: format!("{} · {}, seed {seed} · one row per head, head 0 of each layer at the top", dataset.study.name, attention.run),
        caption: "One panel per metric, one row per head of the first seed, grouped by layer; head indices do not correspond \
                  between seeds. Every snapshot is as wide as half of the way to its neighbours. Each panel has a linear colour \
                  scale of its own, from its lowest to its highest value; the white tick in it is uniform attention."
            .to_owned(),
        columns: &["metric", "layer", "head", "step", "value"],
    };
    let rows = HeadMetrics::MEASURES.len().div_ceil(layout.columns);
    let mut figure = Figure::new(look, heading, layout.top + layout.pitch[1] * rows as f64 + 36.0);
    let Some(of_seed) = attention.head_metrics.first() else { return figure };
    for (index, measure) in HeadMetrics::MEASURES.iter().enumerate() {
        let panel = layout.panel(index, Scale::of_steps(&dataset.study.steps));
        let uniform = attention.uniform(measure);
        let (low, high) = range(of_seed.iter().filter_map(measure.get).chain(uniform)).unwrap_or((0.0, 1.0));
        let scale = Scale::new(low, high);
        let label = axis_label(&measure.quantity, dataset.alphabet.unit());
        heading_and_scale(&mut figure, &panel, &label, &scale, uniform);
        figure.data.row([measure.name().into(), UNIFORM.into(), Cell::Empty, Cell::Empty, uniform.into()]);
        for layer in 0..layout.layers {
            let values = values(of_seed, layer, measure);
            for ((head, step), value) in &values {
                let (head, step, value) = ((*head).into(), (*step).into(), (*value).into());
                figure.data.row([measure.name().into(), layer.into(), head, step, value]);
            }
            let [top, height] = layout.layer(&panel, layer);
            let raster = raster(&panel, (layout.heads, look.png_scale()), &values, &scale);
            figure.image((panel.left, top), (panel.right - panel.left, height), raster);
            if index % layout.columns == 0 {
                let label = format!("layer {layer}");
                figure.text_centred(&label, (panel.left - 8.0, top + height / 2.0), style::TICK, Align::End);
            }
        }
        // The panel's grid would cover its images: only ticks.
        let along = ((panel.right - panel.left) / 120.0).clamp(2.0, 5.0) as usize;
        for tick in panel.x.ticks(along) {
            let x = panel.x_at(tick);
            figure.line(vec![(x, panel.bottom + 2.0), (x, panel.bottom + 9.0)], style::AXIS_LINE);
            let label = panel.x.label(tick, along);
            figure.text_centred(&label, (x, panel.bottom + 24.0), style::TICK, Align::Middle);
        }
    }
    let bottom = layout.top + layout.pitch[1] * rows as f64;
    let middle = (f64::midpoint(layout.left, look.right()), bottom + 10.0);
    figure.text_centred(steps_label(&dataset.study.steps), middle, style::LABEL, Align::Middle);
    figure
}

/// A metric of a layer's heads in the first seed, by head and step.
fn values(rows: &[HeadMetrics], layer: usize, measure: &Measure<HeadMetrics>) -> BTreeMap<(u16, u32), f64> {
    let of_layer = rows.iter().filter(|row| usize::from(row.layer) == layer);
    of_layer.filter_map(|row| Some(((row.head, row.step), (measure.get)(row)?))).collect()
}

/// A row per head; across, the snapshot that is nearest on the axis.
fn raster(
    panel: &Panel,
    (heads, resolution): (usize, u8),
    values: &BTreeMap<(u16, u32), f64>,
    scale: &Scale,
) -> Raster {
    let steps: Vec<u32> = {
        let mut steps: Vec<u32> = values.keys().map(|(_, step)| *step).collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    };
    let columns = ((panel.right - panel.left) * f64::from(resolution)).round() as usize;
    let nearest = |column: usize| {
        let place = (column as f64 + 0.5) / columns as f64;
        let distance = |step: &&u32| (panel.x.fraction(f64::from(**step)) - place).abs();
        steps.iter().min_by(|one, other| distance(one).total_cmp(&distance(other))).copied()
    };
    let shown: Vec<Option<u32>> = (0..columns).map(nearest).collect();
    let entry = |head: usize, step: Option<u32>| {
        let value = step.and_then(|step| values.get(&(head as u16, step)));
        value.map_or(NO_VALUE, |value| cell(scale.fraction(*value)))
    };
    let cells = (0..heads).flat_map(|head| shown.iter().map(move |step| entry(head, *step))).collect();
    Raster { columns, rows: heads, cells, palette: cell_palette() }
}

/// The metric's name, and below it its colour scale between its lowest and highest value.
fn heading_and_scale(figure: &mut Figure, panel: &Panel, label: &str, scale: &Scale, uniform: Option<f64>) {
    let room = (panel.right - panel.left + 40.0).min(figure.look.right() - panel.left);
    let font = style::NOTE.bold().fit(label, room);
    figure.text(label, (panel.left, panel.top - Layout::HEAD + 26.0), font, Align::Start);
    let [low, high] = [scale.low(), scale.high()].map(|value| number::significant(value, 3));
    let middle = panel.top - 24.0;
    let (from, to) = (panel.left + style::TICK.width(&low) + 8.0, panel.right - style::TICK.width(&high) - 8.0);
    figure.text_centred(&low, (panel.left, middle), style::TICK, Align::Start);
    figure.text_centred(&high, (panel.right, middle), style::TICK, Align::End);
    let palette = viridis_palette();
    let raster = Raster { columns: palette.len(), rows: 1, cells: (0..=255).collect(), palette };
    figure.image((from, middle - 8.0), (to - from, 16.0), raster);
    if let Some(uniform) = uniform {
        let x = from + scale.fraction(uniform) * (to - from);
        figure.line(vec![(x, middle - 10.0), (x, middle + 10.0)], Stroke::new(Color::Ink, 5.0));
        figure.line(vec![(x, middle - 10.0), (x, middle + 10.0)], Stroke::new(Color::Paper, 2.4));
    }
}
