//! The driver's records between runs. They are its own, but a disk can damage them, and a person can edit them.

use std::fs;

use driver::state::State;

use crate::{Target, empty, nothing_outside, scratch};

const NAMES: [&str; 2] = [".state.json", ".hashes.json"];

/// An input is one of the files, by its first byte.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    empty();
    fs::write(scratch().join(NAMES[usize::from(first % 2)]), text).expect("a scratch file");
    fs::write(scratch().join("file"), "x").expect("a scratch file");
    let mut state = State::open(scratch(), true);
    for job in state.jobs().map(str::to_owned).collect::<Vec<_>>() {
        let _ = state.record(&job).map(|record| record.cache_key.fingerprint());
    }
    let hash = state.hash(&scratch().join("file")).expect("the file is there");
    let _ = hash.map(|hash| hash.len());
    state.save_hashes();
    nothing_outside();
}

fn seeds() -> Vec<Vec<u8>> {
    let record = r#"0{"train d/r/1": {"status": "done", "cache_key": {"program": "p", "arguments": {"n_layer": ["2"]}, "inputs": {"a/../b": "00ff"}}, "outputs": {"x/x.parquet": "00"}}, "plot": {"status": "started", "ingredients": {"program": "", "arguments": {}, "inputs": {}}, "outputs": {}}}"#;
    let hashes = r#"1{"file": {"bytes": 1, "modified_nanos": 170000000000000000000, "inode": 7, "blake3": "00ff"}}"#;
    [record, hashes].map(|text| text.as_bytes().to_vec()).to_vec()
}
