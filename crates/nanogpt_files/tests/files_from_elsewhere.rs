//! Files written here and read again, and files that other programs could have written.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use nanogpt_files::{Checkpoint, ModelArgs, State, Tensor, ckpt, safetensors};

const MODEL: ModelArgs =
    ModelArgs { n_layer: 1, n_head: 2, n_embd: 4, block_size: 3, vocab_size: 5, bias: false, dropout: 0.25 };

fn state() -> State {
    State { model: MODEL, step: 2000, best_val_loss: Some(1.5), dataset: "my_text".to_owned() }
}

fn tensors() -> Vec<Tensor> {
    let shapes: [(&str, &[usize]); 9] = [
        ("transformer.wte.weight", &[5, 4]),
        ("transformer.wpe.weight", &[3, 4]),
        ("transformer.h.0.ln_1.weight", &[4]),
        ("transformer.h.0.attn.c_attn.weight", &[12, 4]),
        ("transformer.h.0.attn.c_proj.weight", &[4, 4]),
        ("transformer.h.0.ln_2.weight", &[4]),
        ("transformer.h.0.mlp.c_fc.weight", &[16, 4]),
        ("transformer.h.0.mlp.c_proj.weight", &[4, 16]),
        ("transformer.ln_f.weight", &[4]),
    ];
    let mut next = 0.0;
    let tensor = |(name, shape): (&str, &[usize])| {
        let values = (0..shape.iter().product::<usize>()).map(|_| {
            next += 0.125;
            next
        });
        Tensor { name: name.to_owned(), shape: shape.to_vec(), values: values.collect() }
    };
    shapes.into_iter().map(tensor).collect()
}

fn sorted(mut tensors: Vec<Tensor>) -> Vec<Tensor> {
    tensors.sort_by(|one, other| one.name.cmp(&other.name));
    tensors
}

/// A safetensors file whose header says nothing but the tensors.
fn of_another_program(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for tensor in tensors {
        let start = data.len();
        data.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
        let info = serde_json::json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.len()]});
        header.insert(tensor.name.clone(), info);
    }
    let header = serde_json::Value::from(header).to_string();
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &data].concat()
}

fn open(folder: &Path, bytes: &[u8]) -> Result<Checkpoint, String> {
    let path = folder.join("model");
    fs::write(&path, bytes).expect("a file");
    Checkpoint::open(&path).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    for bytes in [ckpt(&tensors(), &state()).expect("small"), safetensors(&tensors(), &state()).0] {
        let mut read = open(folder.path(), &bytes).expect("a checkpoint");
        assert_eq!((read.model, read.step, read.best_val_loss), (MODEL, Some(2000), Some(1.5)));
        assert_eq!(read.tensors().expect("its tensors"), sorted(tensors()));
        assert!(read.notes.is_empty());
    }
}

#[test]
fn gpt_2s_names_and_orientation_become_nanogpts() {
    let folder = tempfile::tempdir().expect("a folder");
    let gpt_2 = tensors().into_iter().map(|mut tensor| {
        if tensor.shape.len() == 2 && tensor.name.contains(".h.") {
            let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
            let values = &tensor.values;
            let turned =
                (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect();
            tensor = Tensor { shape: vec![columns, rows], values: turned, ..tensor };
        }
        tensor.name = tensor.name.trim_start_matches("transformer.").to_owned();
        tensor
    });
    let mut gpt_2: Vec<Tensor> = gpt_2.collect();
    gpt_2.push(Tensor { name: "h.0.attn.bias".to_owned(), shape: vec![1, 1, 3, 3], values: vec![1.0; 9] });
    let bytes = of_another_program(&gpt_2);
    let error = open(folder.path(), &bytes).map(drop).expect_err("no number of heads");
    assert!(error.contains("write {\"n_head\": 6} into a config.json"), "{error}");
    fs::write(
        folder.path().join("config.json"),
        r#"{"n_head": 2, "activation_function": "gelu_new", "resid_pdrop": 0.25}"#,
    )
    .expect("a file");
    let mut read = open(folder.path(), &bytes).expect("a checkpoint");
    assert_eq!((read.model, read.step), (MODEL, None));
    assert!(read.notes[0].contains("gelu_new"));
    assert_eq!(read.tensors().expect("its tensors"), sorted(tensors()));
}

#[test]
fn prefixes_of_compiled_models_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut compiled = tensors();
    compiled.iter_mut().for_each(|tensor| tensor.name = format!("module._orig_mod.{}", tensor.name));
    let mut read = open(folder.path(), &ckpt(&compiled, &state()).expect("small")).expect("a checkpoint");
    assert_eq!(read.tensors().expect("its tensors"), sorted(tensors()));
}

/// `_rebuild_parameter` of a list that holds the very call: no program writes this, and a reader must not follow it for ever.
#[test]
fn a_parameter_that_holds_itself_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |text: &str| [&[b'X'][..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let parameter = b"ctorch._utils\n_rebuild_parameter\n]q\0Rq\x01h\0h\x01a0";
    let pickle = [&b"\x80\x02}"[..], &text("model"), b"}", &text("transformer.wte.weight"), parameter, b"ss."].concat();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("ckpt/data.pkl", stored).expect("an entry");
    archive.write_all(&pickle).expect("a pickle");
    let bytes = archive.finish().expect("an archive").into_inner();
    let error = open(folder.path(), &bytes).map(drop).expect_err("no tensor");
    assert!(error.contains("model"), "{error}");
}

#[test]
fn what_is_no_checkpoint_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |bytes: &[u8], said: &str| {
        let error = open(folder.path(), bytes).map(drop).expect_err(said);
        assert!(error.contains(said), "{error}");
    };
    refused(b"", "is no checkpoint: give a file of torch.save");
    refused(b"text, and more of it, and more", "is no checkpoint");
    refused(b"\x80\x02K\x01.", "format of before 1.6");
    refused(b"PK\x03\x04", "damaged archive");
    let whole = safetensors(&tensors(), &state()).0;
    refused(&whole[..whole.len() - 1], "is cut off");
    let whole = ckpt(&tensors(), &state()).expect("small");
    refused(&whole[..whole.len() / 2], "damaged archive");
    refused(&ckpt(&tensors()[1..], &state()).expect("small"), "has no `transformer.wte.weight`");
    for write in [
        |model| ckpt(&tensors(), &State { model, ..state() }).expect("small"),
        |model| safetensors(&tensors(), &State { model, ..state() }).0,
    ] {
        refused(&write(ModelArgs { block_size: 8, ..MODEL }), "says block_size 8, and its tensors have 3");
        refused(&write(ModelArgs { vocab_size: 6, ..MODEL }), "says vocab_size 6, and its tensors have 5");
    }
    let mut untied = tensors();
    untied.push(Tensor { name: "lm_head.weight".to_owned(), shape: vec![5, 4], values: vec![0.0; 20] });
    let error =
        open(folder.path(), &safetensors(&untied, &state()).0).expect("a checkpoint").tensors().expect_err("untied");
    assert!(error.to_string().contains("not tied"), "{error}");
}

#[test]
fn no_cut_or_changed_byte_panics() {
    let folder = tempfile::tempdir().expect("a folder");
    for whole in [ckpt(&tensors(), &state()).expect("small"), safetensors(&tensors(), &state()).0] {
        for position in (0..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[position] ^= 0x55;
            for bytes in [&whole[..position], &changed] {
                if let Ok(mut checkpoint) = open(folder.path(), bytes) {
                    let _ = checkpoint.tensors();
                }
            }
        }
    }
}
