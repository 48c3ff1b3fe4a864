//! The stage conforms to its declaration.

mod letters;

use conformance::conforms;
use letters::{CONFIG, flags, tensors, write, write_ckpt};
use model::Weights;

#[test]
fn the_stage_conforms() {
    conforms(import::run, |root| {
        write(root);
        for step in [0, 10] {
            write_ckpt(root, CONFIG, step, &tensors(&Weights::initial(CONFIG, u64::from(step))));
        }
        flags(root, "0,10")
    });
}
