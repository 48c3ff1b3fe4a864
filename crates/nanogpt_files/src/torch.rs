//! A file of `torch.save`: a zip archive of a pickle and of the storages that its tensors refer to.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use zip::{CompressionMethod, ZipArchive};

use crate::Error;
use crate::pickle::{Object, Pickle};

/// An open file of `torch.save`.
pub(crate) struct TorchFile {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// The folder of all entries in the archive.
    folder: String,
    pub(crate) pickle: Pickle,
}

/// Where a tensor's values lie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    key: String,
    kind: Number,
    offset: usize,
    pub(crate) shape: Vec<usize>,
    strides: Vec<usize>,
}

/// A number format that weights are stored in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Number {
    Float16,
    BFloat16,
    Float32,
    Float64,
}

impl Number {
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Float16 | Self::BFloat16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The values of little-endian bytes; those of float64 are rounded.
    pub(crate) fn values(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::Float16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Self::BFloat16 => bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            Self::Float32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Self::Float64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        }
    }
}

impl TorchFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::content(path, reason);
        let file = File::open(path).map_err(Error::io(path))?;
        let damaged = |error: zip::result::ZipError| refuse(format!("is a damaged archive ({error}): copy it again"));
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        let folder = archive.file_names().flatten().find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let folder = folder.ok_or_else(|| {
            refuse(
                "is an archive without a data.pkl, so not of torch.save: give nanoGPT's ckpt.pt or safetensors"
                    .to_owned(),
            )
        })?;
        let entry = |archive: &mut ZipArchive<_>, name: &str| read(archive, &format!("{folder}{name}"), None);
        if let Ok(order) = entry(&mut archive, "byteorder")
            && order != b"little"
        {
            return Err(refuse("is of a big-endian machine: save it on another".to_owned()));
        }
        let data = entry(&mut archive, "data.pkl").map_err(refuse)?;
        let pickle = Pickle::parse(&data).map_err(refuse)?;
        Ok(Self { path: path.to_owned(), archive, folder, pickle })
    }

    /// The tensor that an object is; none if it is something else.
    pub(crate) fn tensor(&self, object: &Object) -> Option<Result<Stored, String>> {
        let (mut name, mut arguments) = self.call(object)?;
        // A parameter holds a tensor and never another parameter: a file in which one holds itself would be read for ever.
        if name == "_rebuild_parameter" {
            (name, arguments) = self.call(arguments.first()?)?;
        }
        let stored = || self.stored(&arguments).unwrap_or_else(|| Err("is not understood".to_owned()));
        (name == "_rebuild_tensor_v2").then(stored)
    }

    fn call<'own>(&'own self, object: &'own Object) -> Option<(&'own str, Vec<&'own Object>)> {
        let Object::Call(function, arguments) = object else { return None };
        let Object::Global(_, name) = self.pickle.get(*function) else { return None };
        Some((name, self.pickle.elements(self.pickle.get(*arguments))?.collect()))
    }

    /// `(storage, offset, size, stride, …)`, where the storage is `("storage", class, key, device, numbers)`.
    fn stored(&self, arguments: &[&Object]) -> Option<Result<Stored, String>> {
        let [Object::Persistent(storage), offset, shape, strides, ..] = arguments else { return None };
        let storage: Vec<_> = self.pickle.elements(self.pickle.get(*storage))?.collect();
        let [_, Object::Global(_, class), key, ..] = storage.as_slice() else { return None };
        let kind = match class.as_str() {
            "HalfStorage" => Number::Float16,
            "BFloat16Storage" => Number::BFloat16,
            "FloatStorage" => Number::Float32,
            "DoubleStorage" => Number::Float64,
            other => return Some(Err(format!("has numbers of a {other}, and weights are floats"))),
        };
        let sizes = |object: &Object| -> Option<Vec<usize>> {
            self.pickle.elements(object)?.map(|size| usize::try_from(size.int()?).ok()).collect()
        };
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        let offset = usize::try_from(offset.int()?).ok()?;
        let key = key.text()?.to_owned();
        (shape.len() == strides.len()).then_some(Ok(Stored { key, kind, offset, shape, strides }))
    }

    /// A tensor's values, row-major.
    pub(crate) fn values(&mut self, name: &str, stored: &Stored) -> Result<Vec<f32>, Error> {
        let path = self.path.clone();
        let refuse = |reason: String| Error::content(&path, format!("has a tensor `{name}` that {reason}"));
        let entry = format!("{}data/{}", self.folder, stored.key);
        if stored.shape.contains(&0) {
            return Ok(Vec::new());
        }
        // The position of the last value, with which all others lie in the storage.
        let last = stored
            .shape
            .iter()
            .zip(&stored.strides)
            .try_fold(stored.offset, |last, (size, stride)| last.checked_add((size - 1).checked_mul(*stride)?));
        let count = stored.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        let needed = last.and_then(|last| last.checked_add(1)?.checked_mul(stored.kind.size()));
        let (Some(count), Some(needed)) = (count, needed) else { return Err(refuse("is impossibly large".to_owned())) };
        let bytes = read(&mut self.archive, &entry, Some(needed)).map_err(&refuse)?;
        let mut values = stored.kind.values(&bytes);
        if contiguous(&stored.shape) == stored.strides {
            values.drain(..stored.offset);
            return Ok(values);
        }
        // Values can be repeated by a stride of 0, but no model's are.
        if count > values.len() {
            return Err(refuse("repeats its values".to_owned()));
        }
        let position = |flat: usize| {
            let (mut rest, mut at) = (flat, stored.offset);
            for (size, stride) in stored.shape.iter().zip(&stored.strides).rev() {
                at += rest % size * stride;
                rest /= size;
            }
            at
        };
        Ok((0..count).map(|flat| values[position(flat)]).collect())
    }
}

/// The strides of a row-major tensor.
pub(crate) fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The first `needed` bytes of an entry, or all. Entries are stored as they are, so that one takes no more than the file.
fn read(archive: &mut ZipArchive<BufReader<File>>, name: &str, needed: Option<usize>) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|_| format!("lacks the entry {name} of its archive: copy it again"))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(format!("has compressed the entry {name}, which torch.save does not do: save it again"));
    }
    let mut bytes = Vec::new();
    let limit = needed.map_or(u64::MAX, |needed| needed as u64);
    entry
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("is damaged at {name} ({error}): copy it again"))?;
    match needed {
        Some(needed) if bytes.len() < needed => {
            Err(format!("needs {needed} bytes of {name}, which has {}", bytes.len()))
        }
        _ => Ok(bytes),
    }
}
