//! Checkpoints and alphabets of other programs: zip archives of pickles, safetensors, JSON.

use std::fs;

use nanogpt_files::{Checkpoint, ModelArgs, State, Tensor, alphabet, ckpt, meta, safetensors};

use crate::{Target, empty, scratch};

/// An input is the file, read as a checkpoint and as an alphabet.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    empty();
    let path = scratch().join("file");
    fs::write(&path, data).expect("a scratch file");
    if let Ok(symbols) = alphabet(&path) {
        assert!(!symbols.is_empty(), "an alphabet without symbols");
    }
    if let Ok(mut checkpoint) = Checkpoint::open(&path)
        && let Ok(tensors) = checkpoint.tensors()
    {
        for Tensor { name, shape, values } in tensors {
            assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let shapes: [(&str, &[usize]); 4] = [
        ("transformer.wte.weight", &[3, 2]),
        ("transformer.wpe.weight", &[2, 2]),
        ("transformer.h.0.mlp.c_fc.weight", &[8, 2]),
        ("transformer.ln_f.weight", &[2]),
    ];
    let tensor = |(name, shape): (&str, &[usize])| Tensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: vec![0.5; shape.iter().product()],
    };
    let tensors: Vec<Tensor> = shapes.into_iter().map(tensor).collect();
    let model = ModelArgs { n_layer: 1, n_head: 1, n_embd: 2, block_size: 2, vocab_size: 3, bias: false, dropout: 0.0 };
    let state = State { model, step: 5, best_val_loss: Some(1.5), dataset: "my_text".to_owned() };
    vec![
        ckpt(&tensors, &state).expect("a small model"),
        safetensors(&tensors, &state).0,
        meta(&["a".to_owned(), "b".to_owned()]).expect("a small alphabet"),
        br#"["a", "b"]"#.to_vec(),
        br#"{"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2, "content": "c"}]}"#.to_vec(),
    ]
}
