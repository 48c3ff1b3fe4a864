//! A safetensors file: the length of a JSON header, the header, and the tensors' bytes. Read by hand, since the header alone is
//! read to plan and one tensor at a time to import.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::Error;
use crate::torch::Number;

/// Bytes of a header at most, as in the format's own reader.
const LONGEST_HEADER: u64 = 100_000_000;

/// An open safetensors file.
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    /// Where the tensors' bytes begin.
    data: u64,
    pub(crate) tensors: BTreeMap<String, Info>,
    /// What the header says under `__metadata__`.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A tensor in the header.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Info {
    dtype: String,
    pub(crate) shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl SafetensorsFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::content(path, reason);
        let no_model =
            || refuse("is no checkpoint: give a file of torch.save, such as nanoGPT's ckpt.pt, or a safetensors file");
        let mut file = File::open(path).map_err(Error::io(path))?;
        let size = file.metadata().map_err(Error::io(path))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| no_model())?;
        let length = u64::from_le_bytes(length);
        let data =
            length.checked_add(8).filter(|data| *data <= size && length <= LONGEST_HEADER).ok_or_else(no_model)?;
        let mut header = Vec::new();
        (&file).take(length).read_to_end(&mut header).map_err(Error::io(path))?;
        let mut header: Map<String, Json> = serde_json::from_slice(&header).map_err(|_| no_model())?;
        let metadata =
            header.remove("__metadata__").and_then(|said| serde_json::from_value(said).ok()).unwrap_or_default();
        let tensors: Result<BTreeMap<String, Info>, _> = header
            .into_iter()
            .map(|(name, info)| Ok::<_, serde_json::Error>((name, serde_json::from_value(info)?)))
            .collect();
        let tensors = tensors.map_err(|_| refuse("has a safetensors header that is not understood: save it again"))?;
        let within = |info: &Info| {
            let [start, end] = info.data_offsets;
            start <= end && data.checked_add(end).is_some_and(|end| end <= size)
        };
        match tensors.values().all(within) {
            true => Ok(Self { path: path.to_owned(), file, data, tensors, metadata }),
            false => Err(refuse("is cut off: a tensor lies beyond its end; copy it again")),
        }
    }

    /// A tensor's values, row-major.
    pub(crate) fn values(&mut self, name: &str, info: &Info) -> Result<Vec<f32>, Error> {
        let refuse = |reason: &str| Error::content(&self.path, format!("has a tensor `{name}` {reason}"));
        let kind = match info.dtype.as_str() {
            "F16" => Number::Float16,
            "BF16" => Number::BFloat16,
            "F32" => Number::Float32,
            "F64" => Number::Float64,
            other => return Err(refuse(&format!("of {other}, and weights are floats: save it as F32"))),
        };
        let [start, end] = info.data_offsets;
        let count = info.shape.iter().try_fold(kind.size(), |bytes, size| bytes.checked_mul(*size));
        if count.is_none_or(|bytes| bytes as u64 != end - start) {
            return Err(refuse("whose bytes do not fit its shape: save it again"));
        }
        self.file.seek(SeekFrom::Start(self.data + start)).map_err(Error::io(&self.path))?;
        let mut bytes = Vec::new();
        (&self.file).take(end - start).read_to_end(&mut bytes).map_err(Error::io(&self.path))?;
        Ok(kind.values(&bytes))
    }
}
