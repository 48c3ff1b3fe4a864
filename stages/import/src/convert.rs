//! A checkpoint's tensors as the weights of the model that is computed here.

use std::collections::BTreeMap;

use model::{GptConfig, Weights};
use nanogpt_files::{Checkpoint, ModelArgs, Tensor};

/// The token embedding, which is the output projection too.
const WTE: &str = "transformer.wte.weight";

/// The weights of a checkpoint for a text of `symbols` symbols, and a note if rows of the embedding were left out.
///
/// # Errors
/// What is wrong, to follow the file's name in a message.
pub(crate) fn weights(checkpoint: &mut Checkpoint, symbols: usize) -> Result<(Weights, Option<String>), String> {
    let ModelArgs { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout } = checkpoint.model;
    if vocab_size < symbols {
        return Err(format!(
            "has a vocabulary of {vocab_size} symbols, and the text has {symbols}: give the alphabet that it was trained with, \
             `vocabulary: meta.pkl` in the dataset's entry, or the text that it was trained on"
        ));
    }
    let config = GptConfig { n_layer, n_head, n_embd, block_size, vocab_size: symbols, bias, dropout };
    config.validate().map_err(|error| format!("is not a model that can be computed here: {error}"))?;
    let tensors = checkpoint.tensors().map_err(|error| error.reason())?;
    let mut found: BTreeMap<String, Tensor> = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut ordered = Vec::new();
    for parameter in config.parameters() {
        let Some(Tensor { name, mut shape, mut values }) = found.remove(&parameter.name) else {
            return Err(format!("has no tensor `{}`, which nanoGPT's model has", parameter.name));
        };
        if name == WTE {
            shape[0] = symbols;
            values.truncate(symbols * n_embd);
        }
        if shape != parameter.shape {
            return Err(format!("has a tensor `{name}` of shape {shape:?}, and nanoGPT's has {:?}", parameter.shape));
        }
        ordered.push(model::Tensor { name, shape, values });
    }
    if let Some(name) = found.keys().next() {
        return Err(format!(
            "has a tensor `{name}`, which nanoGPT's model has not: only its architecture, which is GPT-2's, is supported"
        ));
    }
    let weights = Weights { config, tensors: ordered };
    weights.validate().map_err(|error| format!("does not fit together: {error}"))?;
    if !weights.are_finite() {
        return Err("has a weight that is NaN or infinite: its training diverged".to_owned());
    }
    let note = (vocab_size > symbols).then(|| {
        // nanoGPT pads to a multiple of 64.
        let doubt = match vocab_size == symbols.next_multiple_of(64) {
            true => "",
            false => "; that is more than padding explains: was it trained on a text with other symbols?",
        };
        format!(
            "of its {vocab_size} rows of the token embedding the first {symbols} are used, those of the dataset's vocabulary: its \
             probabilities are of these symbols alone{doubt}"
        )
    });
    Ok((weights, note))
}
