//! A GPT's weights from a file of another program, under nanoGPT's names and in PyTorch's orientation.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::Error;
use crate::pickle::Object;
use crate::safetensors::{Info, SafetensorsFile};
use crate::torch::{Stored, TorchFile};

/// The shape of a model, named as in nanoGPT's `model_args`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct ModelArgs {
    /// Transformer blocks.
    pub n_layer: usize,
    /// Attention heads per block.
    pub n_head: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Longest context.
    pub block_size: usize,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Whether linear layers and layer norms have biases.
    pub bias: bool,
    /// Dropout probability in training; 0 where the file does not say.
    pub dropout: f64,
}

/// A tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in nanoGPT's `state_dict`.
    pub name: String,
    /// Its shape in PyTorch's orientation.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// An open checkpoint, of which the header is read.
pub struct Checkpoint {
    path: PathBuf,
    file: Format,
    /// The parameters' names in nanoGPT's `state_dict`, and where each lies.
    parameters: BTreeMap<String, Entry>,
    /// The model's shape.
    pub model: ModelArgs,
    /// Steps (optimizer updates) done; none where the file does not say.
    pub step: Option<u32>,
    /// The best validation loss that the file says, in nats per token.
    pub best_val_loss: Option<f64>,
    /// The learning rate that the optimizer last had.
    pub learning_rate: Option<f64>,
    /// What differs from the model that is computed here, in sentences.
    pub notes: Vec<String>,
}

enum Format {
    Torch(TorchFile),
    Safetensors(SafetensorsFile),
}

#[derive(Clone, Debug)]
struct Entry {
    /// The name in the file.
    name: String,
    place: Place,
    transposed: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Torch(Stored),
    Safetensors(Info),
}

impl Entry {
    /// The shape in the file.
    fn shape(&self) -> &[usize] {
        match &self.place {
            Place::Torch(stored) => &stored.shape,
            Place::Safetensors(info) => &info.shape,
        }
    }
}

/// The matrices that GPT-2 of Hugging Face's transformers stores transposed, as `[in, out]`.
const CONV1D: [&str; 4] = ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"];

/// The output projection, which is the token embedding.
const LM_HEAD: &str = "lm_head.weight";
const WTE: &str = "transformer.wte.weight";

impl Checkpoint {
    /// Opens a file of `torch.save` or a safetensors file. What it does not say of the model is looked for in a `config.json`
    /// beside it.
    ///
    /// # Errors
    /// The file cannot be read, is in another format, or does not hold a GPT.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut magic = Vec::new();
        File::open(path).map_err(Error::io(path))?.take(4).read_to_end(&mut magic).map_err(Error::io(path))?;
        match magic.as_slice() {
            b"PK\x03\x04" => Self::of_torch(path, TorchFile::open(path)?),
            [0x80, 2..=5, ..] => Err(Error::content(
                path,
                "is in PyTorch's format of before 1.6: load it with torch.load and save it with torch.save again",
            )),
            _ => Self::of_safetensors(path, SafetensorsFile::open(path)?),
        }
    }

    fn of_torch(path: &Path, file: TorchFile) -> Result<Self, Error> {
        let pickle = &file.pickle;
        let refuse = |reason: String| Error::content(path, reason);
        let root = pickle.root();
        // A whole checkpoint, or the state alone.
        let state = pickle.item(root, "model").unwrap_or(root);
        let Object::Dict(items) = state else {
            return Err(refuse(
                "holds no state_dict: save {'model': model.state_dict(), 'model_args': …, 'iter_num': …} as nanoGPT does".to_owned(),
            ));
        };
        let mut entries = BTreeMap::new();
        for (name, value) in items {
            let Some(name) = pickle.get(*name).text() else { continue };
            match file.tensor(pickle.get(*value)) {
                Some(Ok(stored)) => entries.insert(name.to_owned(), Place::Torch(stored)),
                // Of integers or truth values are buffers, such as masks.
                Some(Err(_)) if is_buffer(name) => None,
                Some(Err(reason)) => return Err(refuse(format!("has a tensor `{name}` that {reason}"))),
                None => None,
            };
        }
        let mut said = Map::new();
        if let Some(arguments) = pickle.item(root, "model_args") {
            for key in ["n_head", "n_embd", "block_size", "vocab_size"] {
                said.extend(
                    pickle.item(arguments, key).and_then(Object::int).map(|number| (key.to_owned(), number.into())),
                );
            }
            let dropout = pickle.item(arguments, "dropout").and_then(Object::number);
            said.extend(dropout.map(|rate| ("dropout".to_owned(), rate.into())));
        }
        let step = pickle.item(root, "iter_num").and_then(Object::int).and_then(|step| u32::try_from(step).ok());
        let optimizer = pickle.item(root, "optimizer");
        let group = optimizer.and_then(|optimizer| pickle.elements(pickle.item(optimizer, "param_groups")?)?.next());
        let learning_rate = group.and_then(|group| pickle.item(group, "lr")?.number()).filter(|rate| rate.is_finite());
        // A float, or a tensor of one number, as nanoGPT's estimate of a loss is.
        let best = pickle.item(root, "best_val_loss").cloned();
        let best = best.map(|best| (best.number(), file.tensor(&best).and_then(Result::ok)));
        let mut file = file;
        let best_val_loss = match best {
            Some((None, Some(stored))) if stored.shape.is_empty() => {
                file.values("best_val_loss", &stored)?.first().map(|loss| f64::from(*loss))
            }
            Some((number, _)) => number,
            None => None,
        };
        let found = Found { entries, said, step };
        Ok(Self { best_val_loss, learning_rate, ..found.checkpoint(path, Format::Torch(file))? })
    }

    fn of_safetensors(path: &Path, file: SafetensorsFile) -> Result<Self, Error> {
        let entries =
            file.tensors.iter().map(|(name, info)| (name.clone(), Place::Safetensors(info.clone()))).collect();
        // Values of metadata are texts.
        let said: Map<String, Json> = file
            .metadata
            .iter()
            .map(|(key, value)| (key.clone(), serde_json::from_str(value).unwrap_or_else(|_| value.clone().into())))
            .collect();
        let number = |key: &str| said.get(key).and_then(Json::as_f64);
        let step = said.get("iter_num").or_else(|| said.get("step")).and_then(Json::as_u64);
        let step = step.and_then(|step| u32::try_from(step).ok());
        let best_val_loss = number("best_val_loss");
        let found = Found { entries, said, step };
        Ok(Self { best_val_loss, ..found.checkpoint(path, Format::Safetensors(file))? })
    }

    /// All parameters, sorted by name. Of the tied pair it is the token embedding.
    ///
    /// # Errors
    /// A tensor cannot be read, or the output projection is not the token embedding.
    pub fn tensors(&mut self) -> Result<Vec<Tensor>, Error> {
        let parameters = self.parameters.clone();
        let mut tensors = Vec::new();
        for (name, entry) in &parameters {
            tensors.push(self.tensor(name, entry)?);
        }
        if let Some(head) = tensors.iter().position(|tensor| tensor.name == LM_HEAD) {
            let head = tensors.remove(head);
            if tensors.iter().find(|tensor| tensor.name == WTE).is_none_or(|wte| wte.values != head.values) {
                return Err(Error::content(
                    &self.path,
                    "has an lm_head.weight that is not its wte.weight: models whose output projection is not tied to the token \
                     embedding are not supported",
                ));
            }
        }
        Ok(tensors)
    }

    fn tensor(&mut self, name: &str, entry: &Entry) -> Result<Tensor, Error> {
        let values = match (&mut self.file, &entry.place) {
            (Format::Torch(file), Place::Torch(stored)) => file.values(&entry.name, stored)?,
            (Format::Safetensors(file), Place::Safetensors(info)) => file.values(&entry.name, info)?,
            _ => Vec::new(),
        };
        let tensor = Tensor { name: name.to_owned(), shape: entry.shape().to_vec(), values };
        Ok(if entry.transposed { transposed(tensor) } else { tensor })
    }
}

/// What a file holds, in its own names.
struct Found {
    entries: BTreeMap<String, Place>,
    /// What it says of the model.
    said: Map<String, Json>,
    step: Option<u32>,
}

impl Found {
    fn checkpoint(mut self, path: &Path, file: Format) -> Result<Checkpoint, Error> {
        let refuse = |reason: String| Error::content(path, reason);
        let beside = beside(path)?;
        for (key, value) in &beside {
            self.said.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let mut parameters = BTreeMap::new();
        for (name, place) in self.entries {
            let ours = nanogpt_name(&name);
            if !is_buffer(&ours) {
                parameters.insert(ours, Entry { name, place, transposed: false });
            }
        }
        let shape = |name: &str| parameters.get(name).map(|entry| entry.shape().to_vec());
        let matrix = |name: &str| match shape(name).as_deref() {
            Some([rows, columns]) => Ok([*rows, *columns]),
            Some(shape) => Err(refuse(format!("has `{name}` of shape {shape:?}, which is no matrix: it is not a GPT"))),
            None => Err(refuse(format!(
                "has no `{name}`: it does not hold a GPT with nanoGPT's or GPT-2's names, which are supported"
            ))),
        };
        let [vocab_size, n_embd] = matrix(WTE)?;
        let [block_size, _] = matrix("transformer.wpe.weight")?;
        for (key, has) in [("block_size", block_size), ("vocab_size", vocab_size), ("n_embd", n_embd)] {
            if let Some(other) = self.said.get(key).and_then(Json::as_u64).filter(|other| *other != has as u64) {
                return Err(refuse(format!(
                    "says {key} {other}, and its tensors have {has}: correct its model_args, or the config.json beside it"
                )));
            }
        }
        let layer = |name: &String| name.strip_prefix("transformer.h.")?.split('.').next()?.parse::<usize>().ok();
        let n_layer = parameters.keys().filter_map(layer).max().map_or(0, |last| last.saturating_add(1));
        if matrix("transformer.h.0.mlp.c_fc.weight")? == [n_embd, n_embd.saturating_mul(4)] {
            let is_conv = |name: &str| CONV1D.iter().any(|matrix| name.ends_with(matrix));
            parameters.iter_mut().filter(|(name, _)| is_conv(name)).for_each(|(_, entry)| entry.transposed = true);
        }
        let said =
            |key: &str| self.said.get(key).and_then(Json::as_u64).and_then(|number| usize::try_from(number).ok());
        let n_head = said("n_head").ok_or_else(|| {
            refuse(
                "does not say its number of heads, which no tensor shows: write {\"n_head\": 6} into a config.json beside it"
                    .to_owned(),
            )
        })?;
        let bias = parameters.contains_key("transformer.ln_f.bias");
        let dropout = self.said.get("dropout").or_else(|| self.said.get("resid_pdrop")).and_then(Json::as_f64);
        let dropout = dropout.filter(|rate| (0.0..1.0).contains(rate)).unwrap_or(0.0);
        let mut notes = Vec::new();
        if let Some(other) = self.said.get("activation_function").and_then(Json::as_str).filter(|name| *name != "gelu")
        {
            notes.push(format!(
                "its activation function is {other}, and the exact GELU is computed here, as nanoGPT does with such weights: \
                 losses and attention differ slightly from those of the program that trained it"
            ));
        }
        let step = self.step.or_else(|| {
            let step = beside.get("iter_num").or_else(|| beside.get("step")).and_then(Json::as_u64);
            step.and_then(|step| u32::try_from(step).ok())
        });
        let model = ModelArgs { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout };
        Ok(Checkpoint {
            path: path.to_owned(),
            file,
            parameters,
            model,
            step,
            best_val_loss: None,
            learning_rate: None,
            notes,
        })
    }
}

/// What a `config.json` beside a file says; nothing if there is none.
fn beside(path: &Path) -> Result<Map<String, Json>, Error> {
    let config = path.with_file_name("config.json");
    match fs::read(&config) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Error::content(&config, format!("is no JSON object ({error}): correct or remove it"))),
        Err(_) => Ok(Map::new()),
    }
}

/// nanoGPT's name of a parameter: without what torch.compile and data-parallel training put before it, and below `transformer`.
fn nanogpt_name(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = ["_orig_mod.", "module."].iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    match ["wte.", "wpe.", "h.", "ln_f."].iter().any(|start| name.starts_with(start)) {
        true => format!("transformer.{name}"),
        false => name.to_owned(),
    }
}

/// Whether a tensor is a causal mask, which is no parameter.
fn is_buffer(name: &str) -> bool {
    name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
}

fn transposed(tensor: Tensor) -> Tensor {
    let &[rows, columns] = tensor.shape.as_slice() else { return tensor };
    let values = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
    let values = values.map(|(row, column)| tensor.values[row * columns + column]).collect();
    Tensor { shape: vec![columns, rows], values, name: tensor.name }
}
