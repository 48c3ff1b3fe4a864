//! The study as JSON on a command line.

use std::path::Path;

use declarations::{Study, Value};

use crate::{Target, names};

/// An input is the value of `--study`.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(study) = Study::parse(text) else { return };
    for name in study.datasets.iter().map(|dataset| &dataset.name).chain(study.runs.iter().map(|run| &run.name)) {
        names::stays_within(Path::new(name));
    }
    let written = study.argument().expect("a study has an argument");
    assert_eq!(Study::parse(&written).as_ref(), Ok(&study), "{written}");
}

fn seeds() -> Vec<Vec<u8>> {
    let one = r#"{"datasets":[{"name":"d","seeds":[1,18446744073709551615],"steps":"0,50,100-200/100","eval_interval":10}],"runs":[{"name":"run_3","label":"a \"b\" é","parts":["tracking","snapshots","similarity","quality"]},{"name":"r","label":"","parts":[]}]}"#;
    vec![one.as_bytes().to_vec(), br#"{"datasets":[],"runs":[]}"#.to_vec()]
}
