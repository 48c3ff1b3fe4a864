//! Reads and checks the stage's inputs: probe windows, the attention of each, and the heads' output norms.

use std::collections::BTreeMap;

use declarations::metrics::Metrics;
use declarations::{Fault, Inputs};
use schemas::attention::Window;
use schemas::enums::WindowKind;
use schemas::tables::{Attention, HeadOutputs, Windows};
use schemas::{Error, Partition, Reader, Source, Table};

use crate::index;
use crate::window::{Kind, Probe};

/// The probe windows of a training, in the order of their row groups.
pub struct Probes {
    /// The windows.
    pub probes: Vec<Probe>,
    /// Their file.
    pub source: Source,
}

impl Probes {
    /// Reads `windows`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a row is not a probe window, or if `val` windows differ in length.
    pub fn read(inputs: &Inputs<Metrics>, partition: &Partition) -> Result<Self, Fault> {
        let loaded = inputs.read::<Windows>(partition)?;
        let probes = loaded.rows.into_iter().map(probe).collect::<Result<Vec<_>, _>>();
        let probes = probes.and_then(|probes| {
            let mut lengths = probes.iter().filter(|probe| probe.kind == Kind::Val).map(|probe| probe.tokens.len());
            match lengths.next() {
                Some(first) if lengths.any(|length| length != first) => {
                    Err("its `val` windows differ in length".to_owned())
                }
                _ if probes.is_empty() => Err("it holds no window".to_owned()),
                _ => Ok(probes),
            }
        });
        match probes {
            Ok(probes) => Ok(Self { probes, source: loaded.source }),
            Err(reason) => Err(damaged::<Windows>(inputs.path::<Windows>(partition)?, reason).into()),
        }
    }

    /// The length `T` of the `val` windows; 0 where there are none.
    pub fn val_length(&self) -> usize {
        let val = self.probes.iter().find(|probe| probe.kind == Kind::Val);
        val.map_or(0, |probe| probe.tokens.len())
    }

    /// The `val` windows: each one's position among all windows, and its tokens.
    pub fn val(&self) -> impl Iterator<Item = (usize, &[u16])> {
        let val = self.probes.iter().enumerate().filter(|(_, probe)| probe.kind == Kind::Val);
        val.map(|(position, probe)| (position, probe.tokens.as_slice()))
    }

    /// The length `L` of the repeated block of each `repeat` window.
    pub fn blocks(&self) -> Vec<usize> {
        let block = |probe: &Probe| match probe.kind {
            Kind::Repeat { block } => Some(block),
            Kind::Val => None,
        };
        self.probes.iter().filter_map(block).collect()
    }
}

fn probe(row: Windows) -> Result<Probe, String> {
    let (window, length) = (row.window, row.tokens.len());
    if length == 0 {
        return Err(format!("the row of window {window} has no tokens"));
    }
    let block = length / 2;
    let kind = match row.kind {
        WindowKind::Val => Kind::Val,
        WindowKind::Repeat if length == 2 * block && row.tokens[..block] == row.tokens[block..] => {
            Kind::Repeat { block }
        }
        WindowKind::Repeat => {
            return Err(format!("the row of window {window} is a `repeat`, but not of one block twice"));
        }
    };
    Ok(Probe { window, kind, tokens: row.tokens })
}

/// Opens the attention of one step, which must cover exactly the probe windows.
///
/// # Errors
/// Those of opening a table; [`Error::Damaged`] if the number of windows differs, [`Error::Unsupported`] if several are in one row
/// group.
pub fn open_attention(
    inputs: &Inputs<Metrics>,
    partition: &Partition,
    step: u32,
    probes: &Probes,
) -> Result<Reader<Attention>, Fault> {
    let reader = inputs.open::<Attention>(&partition.clone().step(step))?;
    let (found, expected) = (reader.groups(), probes.probes.len());
    if found != expected {
        // A file of another program may hold several in a row group, which is said when one is read.
        if found > 0 {
            reader.window(0)?;
        }
        let reason = format!("it holds {found} windows where `windows` lists {expected}");
        return Err(damaged::<Attention>(reader.path(), reason).into());
    }
    Ok(reader)
}

/// Reads the attention of one probe window, that of the row group with its position.
///
/// # Errors
/// [`Error::Damaged`] if the row group is not a complete window, or has another window's number.
pub fn read_window(reader: &Reader<Attention>, group: usize, probe: &Probe) -> Result<Window, Error> {
    let window = reader.window(group)?;
    let (found, expected) = ((window.window, window.queries), (probe.window, probe.tokens.len()));
    if found != expected {
        let reason = format!(
            "row group {group} is window {} of {} queries where `windows` has window {} of {} characters",
            found.0, found.1, expected.0, expected.1
        );
        return Err(damaged::<Attention>(reader.path(), reason));
    }
    Ok(window)
}

/// Mean norms of the heads' outputs to the residual stream.
pub struct OutputNorms {
    norms: BTreeMap<(u32, u16, u16), f64>,
    path: std::path::PathBuf,
    /// Their file.
    pub source: Source,
}

impl OutputNorms {
    /// Reads `head_outputs`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a norm is negative or not a number.
    pub fn read(inputs: &Inputs<Metrics>, partition: &Partition) -> Result<Self, Fault> {
        let loaded = inputs.read::<HeadOutputs>(partition)?;
        let path = inputs.path::<HeadOutputs>(partition)?;
        if let Some(row) = loaded.rows.iter().find(|row| !(row.output_norm >= 0.0 && row.output_norm.is_finite())) {
            let HeadOutputs { step, layer, head, output_norm } = row;
            let reason =
                format!("the row of step {step}, layer {layer}, head {head} says that a norm is {output_norm}");
            return Err(damaged::<HeadOutputs>(path, reason).into());
        }
        let norms = loaded.rows.iter().map(|row| ((row.step, row.layer, row.head), row.output_norm)).collect();
        Ok(Self { norms, path, source: loaded.source })
    }

    /// The norms of one layer's heads at one step.
    ///
    /// # Errors
    /// [`Error::Damaged`] if one of them is missing.
    pub fn layer(&self, step: u32, layer: u16, heads: usize) -> Result<Vec<f64>, Error> {
        let norm = |head: usize| {
            self.norms.get(&(step, layer, index(head))).copied().ok_or_else(|| {
                let reason = format!("it lacks the row of step {step}, layer {layer}, head {head}");
                damaged::<HeadOutputs>(&self.path, reason)
            })
        };
        (0..heads).map(norm).collect()
    }
}

/// A file with content that its table's declaration rules out.
pub fn damaged<T: Table>(path: impl Into<std::path::PathBuf>, reason: String) -> Error {
    Error::Damaged { path: path.into(), reason, producer: T::PRODUCER }
}
