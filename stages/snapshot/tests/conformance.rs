//! The stage conforms to its declaration.

mod letters;

use conformance::conforms;
use letters::CONFIG;

const FLAGS: &str = "--dataset letters --run run_1 --seed 3 --steps 0,10 --val-windows 3 --repeat-windows 2";

#[test]
fn the_stage_conforms() {
    conforms(snapshot::run, |root| {
        letters::write(root, CONFIG, 5);
        FLAGS.split(' ').map(str::to_owned).collect()
    });
}
