//! How long the rest will take, from what was measured so far.

use std::collections::BTreeMap;
use std::time::Duration;

use cli::Steps;

use crate::plan::{Node, Stage};

/// A stage, and the run that it works for where it works for one.
type StageOfRun = (Stage, Option<String>);

/// What nodes cost: the seconds of those that ended; for the others, their usual shares of the work.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    measured: BTreeMap<StageOfRun, Cost>,
}

#[derive(Clone, Debug, Default)]
struct Cost {
    seconds: f64,
    shares: f64,
}

impl Pace {
    /// A node took so long.
    pub fn learn(&mut self, node: &Node, wall: Duration) {
        let cost = self.measured.entry((node.stage, node.run.clone())).or_default();
        cost.seconds += wall.as_secs_f64();
        cost.shares += usual_share(node);
    }

    /// The seconds that a node will take: after those of its stage and run, else of its stage, else of all; none as long
    /// as nothing was measured.
    pub fn seconds(&self, node: &Node) -> Option<f64> {
        let like = |alike: &dyn Fn(&StageOfRun) -> bool| {
            let measured = self.measured.iter().filter(|(known, _)| alike(known)).map(|(_, cost)| cost);
            let (seconds, shares) =
                measured.fold((0.0, 0.0), |(seconds, shares), cost| (seconds + cost.seconds, shares + cost.shares));
            (shares > 0.0).then(|| usual_share(node) * seconds / shares)
        };
        like(&|(stage, run)| (*stage, run) == (node.stage, &node.run))
            .or_else(|| like(&|(stage, _)| *stage == node.stage))
            .or_else(|| like(&|_| true))
    }
}

/// What a node usually costs, a training being 100.
pub fn usual_share(node: &Node) -> f64 {
    match node.stage {
        Stage::Train => 100.0,
        Stage::Generate => {
            let steps = node.arguments.iter().find(|argument| argument.flag == "steps");
            let steps = steps.and_then(|argument| argument.value.parse::<Steps>().ok());
            5.0 * steps.map_or(1.0, |steps| steps.iter().len() as f64)
        }
        Stage::Snapshot | Stage::Metrics | Stage::Correlate | Stage::Plot => 10.0,
        Stage::Prep => 5.0,
    }
}
