//! A model's weights for other programs.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use serde_json::{Value as Json, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::torch::contiguous;
use crate::{ModelArgs, Tensor};

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The model's shape.
    pub model: ModelArgs,
    /// Steps (optimizer updates) done.
    pub step: u32,
    /// The best validation loss, in nats per token; none if it is not known.
    pub best_val_loss: Option<f64>,
    /// The name of its text: nanoGPT looks for the alphabet in `data/<dataset>/meta.pkl`.
    pub dataset: String,
}

impl State {
    /// As an object of JSON with nanoGPT's keys.
    fn said(&self) -> BTreeMap<&'static str, Json> {
        let ModelArgs { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout } = self.model;
        let mut said = BTreeMap::from([
            ("n_layer", json!(n_layer)),
            ("n_head", json!(n_head)),
            ("n_embd", json!(n_embd)),
            ("block_size", json!(block_size)),
            ("vocab_size", json!(vocab_size)),
            ("bias", json!(bias)),
            ("dropout", json!(dropout)),
            ("iter_num", json!(self.step)),
            ("activation_function", json!("gelu")),
            ("tie_word_embeddings", json!(true)),
            ("dataset", json!(self.dataset)),
        ]);
        said.extend(self.best_val_loss.map(|loss| ("best_val_loss", json!(loss))));
        said
    }
}

/// A safetensors file, whose metadata is the state, and the same as the text of a `config.json`.
pub fn safetensors(tensors: &[Tensor], state: &State) -> (Vec<u8>, String) {
    let said = state.said();
    let mut header = serde_json::Map::new();
    let texts: serde_json::Map<_, _> = said
        .iter()
        .map(|(key, value)| {
            (
                (*key).to_owned(),
                match value {
                    Json::String(text) => json!(text),
                    other => json!(other.to_string()),
                },
            )
        })
        .collect();
    header.insert("__metadata__".to_owned(), texts.into());
    let mut start = 0;
    for tensor in tensors {
        let end = start + 4 * tensor.values.len();
        header
            .insert(tensor.name.clone(), json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]}));
        start = end;
    }
    let mut header = Json::from(header).to_string().into_bytes();
    // The tensors begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut header);
    bytes.extend(tensors.iter().flat_map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes())));
    (bytes, format!("{:#}\n", json!(said)))
}

/// A file as nanoGPT's `torch.save` writes it, without the optimizer: `model`, `model_args`, `iter_num`, `best_val_loss`, `config`.
/// `lm_head.weight` shares the storage of the token embedding. `torch.load` reads it with `weights_only=True`.
///
/// # Errors
/// A name is longer than a pickle can say (4 GiB).
pub fn ckpt(tensors: &[Tensor], state: &State) -> std::io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut entry = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let large = u32::try_from(bytes.len()).is_err();
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(format!("ckpt/{name}"), options).map_err(std::io::Error::other)?;
        archive.write_all(bytes)
    };
    entry("data.pkl", &pickled(tensors, state)?)?;
    entry("byteorder", b"little")?;
    for (key, tensor) in tensors.iter().enumerate() {
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        entry(&format!("data/{key}"), &bytes)?;
    }
    entry("version", b"3\n")?;
    Ok(archive.finish().map_err(std::io::Error::other)?.into_inner())
}

/// nanoGPT's `meta.pkl`: `vocab_size`, `itos`, `stoi`.
///
/// # Errors
/// A symbol is longer than a pickle can say (4 GiB).
pub fn meta(symbols: &[String]) -> std::io::Result<Vec<u8>> {
    let mut pickle = Pickler(vec![0x80, 2]);
    pickle.dictionary(|pickle| {
        pickle.text("vocab_size")?;
        pickle.int(symbols.len())?;
        pickle.text("itos")?;
        pickle.dictionary(|pickle| {
            symbols.iter().enumerate().try_for_each(|(token, symbol)| {
                pickle.int(token)?;
                pickle.text(symbol)
            })
        })?;
        pickle.text("stoi")?;
        pickle.dictionary(|pickle| {
            symbols.iter().enumerate().try_for_each(|(token, symbol)| {
                pickle.text(symbol)?;
                pickle.int(token)
            })
        })
    })?;
    pickle.0.push(b'.');
    Ok(pickle.0)
}

fn pickled(tensors: &[Tensor], state: &State) -> std::io::Result<Vec<u8>> {
    let mut pickle = Pickler(vec![0x80, 2]);
    let said = state.said();
    pickle.dictionary(|pickle| {
        pickle.text("model")?;
        pickle.dictionary(|pickle| {
            for (key, tensor) in tensors.iter().enumerate() {
                pickle.text(&tensor.name)?;
                pickle.tensor(key, tensor)?;
                if tensor.name == "transformer.wte.weight" {
                    pickle.text("lm_head.weight")?;
                    pickle.tensor(key, tensor)?;
                }
            }
            Ok(())
        })?;
        let arguments = ["n_layer", "n_head", "n_embd", "block_size", "bias", "vocab_size", "dropout"];
        for (key, keys) in [("model_args", &arguments[..]), ("config", &["dataset"][..])] {
            pickle.text(key)?;
            pickle.dictionary(|pickle| {
                keys.iter().try_for_each(|key| {
                    pickle.text(key)?;
                    pickle.json(&said[key])
                })
            })?;
        }
        for key in ["iter_num", "best_val_loss"] {
            pickle.text(key)?;
            pickle.json(said.get(key).unwrap_or(&Json::Null))?;
        }
        Ok(())
    })?;
    pickle.0.push(b'.');
    Ok(pickle.0)
}

/// Writes a pickle of protocol 2.
struct Pickler(Vec<u8>);

impl Pickler {
    fn dictionary(&mut self, items: impl FnOnce(&mut Self) -> std::io::Result<()>) -> std::io::Result<()> {
        self.0.extend(b"}(");
        items(self)?;
        self.0.push(b'u');
        Ok(())
    }

    fn text(&mut self, text: &str) -> std::io::Result<()> {
        let length = u32::try_from(text.len()).map_err(std::io::Error::other)?;
        self.0.push(b'X');
        self.0.extend(length.to_le_bytes());
        self.0.extend(text.as_bytes());
        Ok(())
    }

    fn int(&mut self, number: usize) -> std::io::Result<()> {
        let number = i64::try_from(number).map_err(std::io::Error::other)?;
        self.0.extend([0x8a, 8]);
        self.0.extend(number.to_le_bytes());
        Ok(())
    }

    fn json(&mut self, value: &Json) -> std::io::Result<()> {
        match value {
            Json::Bool(value) => self.0.push(if *value { 0x88 } else { 0x89 }),
            Json::Number(number) => match number.as_u64().and_then(|number| usize::try_from(number).ok()) {
                Some(number) => self.int(number)?,
                None => {
                    self.0.push(b'G');
                    self.0.extend(number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
                }
            },
            Json::String(text) => self.text(text)?,
            _ => self.0.push(b'N'),
        }
        Ok(())
    }

    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    fn tensor(&mut self, key: usize, tensor: &Tensor) -> std::io::Result<()> {
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        self.0.push(b'(');
        self.text("storage")?;
        self.0.extend(b"ctorch\nFloatStorage\n");
        self.text(&key.to_string())?;
        self.text("cpu")?;
        self.int(tensor.values.len())?;
        self.0.extend(b"tQ");
        self.int(0)?;
        for sizes in [&tensor.shape, &contiguous(&tensor.shape)] {
            self.0.push(b'(');
            sizes.iter().try_for_each(|size| self.int(*size))?;
            self.0.push(b't');
        }
        self.0.push(0x89);
        self.0.extend(b"ccollections\nOrderedDict\n)RtR");
        Ok(())
    }
}
