//! The stage conforms to its declaration.

mod letters;

use conformance::conforms;

const FLAGS: &str = "--dataset letters --run run_1 --seed 3 --steps 0,10 --stride 4";

#[test]
fn the_stage_conforms() {
    conforms(evaluate::run, |root| {
        letters::write(root, 150);
        FLAGS.split(' ').map(str::to_owned).collect()
    });
}
