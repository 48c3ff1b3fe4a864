//! The stage does what its declaration says.

use std::fs;

use conformance::conforms;

#[test]
fn the_stage_conforms() {
    conforms(prep::run, |root| {
        let text = root.join("hamlet.txt");
        fs::write(&text, "Whether 'tis nobler in the mind to suffer\n".repeat(30)).expect("a text");
        let source = text.to_str().expect("the name is text");
        ["--dataset", "hamlet", "--source", source, "--train-fraction", "0.8"].map(str::to_owned).to_vec()
    });
}
