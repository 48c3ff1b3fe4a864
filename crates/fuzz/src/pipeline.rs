//! `pipeline.yaml`: parsed, resolved for its profiles, planned.

use driver::experiment::Experiment;
use driver::study::Study;
use driver::yaml;

use crate::{Target, names};

/// The project's own file.
pub(crate) const OWN: &str = include_str!("../../../pipeline.yaml");

/// An input is the file.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(experiment) = yaml::parse::<Experiment>(text, "pipeline.yaml") else { return };
    for profile in experiment.profiles.keys().take(2) {
        if let Ok(study) = Study::resolve(&experiment, profile, &[]) {
            names::check(&study);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let bare: Vec<&str> = OWN
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim_end())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    // Without the later profiles: small inputs are mutated more often in places that matter.
    let short: Vec<&str> = bare.iter().copied().take_while(|line| !line.starts_with("  laptop:")).collect();
    let tiny = "datasets: {d: {source: t, encoding: utf8, train_fraction: 0.5}}\nseeds: [1, 2]\nruns:\n  r: &r\n    label: \"L\"\n    \
                stages: [train, snapshot, metrics, generate]\n    train: {tracking: true, max_iters: 4}\n  s: *r\n\
                own_stages:\n  o: {command: [c, -x], per: dataset, reads: [corpus], writes: [t, f.svg], parameters: {x: 1}}\n\
                profiles:\n  p: {datasets: [d], jobs: 1, snapshot: {steps: \"0,1-8*2\"}, per_dataset: {d: {seeds: [3]}}}\n";
    [bare.join("\n"), short.join("\n"), tiny.to_owned()].map(String::into_bytes).to_vec()
}
