//! What a run would cost, said before it starts: hours, bytes, memory.

use crate::display::{duration, size};
use crate::lineage::History;
use crate::pace::{Pace, span};
use crate::plan::Node;
use crate::turn::Plan;

/// The cost of some nodes.
pub(crate) struct Estimate {
    pace: Pace,
    measured: bool,
    seconds: f64,
    bytes: f64,
    /// The memory of each node.
    memory: Vec<f64>,
}

impl Estimate {
    /// Nothing yet, at the pace of what ran before with the same command.
    pub(crate) fn after(plan: &Plan<'_>, history: &History) -> Self {
        let mut pace = Pace::default();
        let mut measured = false;
        for node in plan.nodes {
            if let Some(seconds) = history.took(&node.name(), &node.command(&plan.programs)) {
                pace.learn(node, span(seconds));
                measured = true;
            }
        }
        Self { pace, measured, seconds: 0.0, bytes: 0.0, memory: Vec::new() }
    }

    /// One more node.
    pub(crate) fn add(&mut self, node: &Node) {
        self.seconds += self.pace.seconds(node).unwrap_or(node.cost.seconds / node.threads() as f64);
        self.bytes += node.cost.bytes;
        self.memory.push(node.cost.memory);
    }

    /// In words, for so many nodes at once.
    pub(crate) fn told(mut self, jobs: usize) -> String {
        self.memory.sort_by(|one, other| other.total_cmp(one));
        let memory: f64 = self.memory.iter().take(jobs).sum();
        let time = duration(span(self.seconds / jobs as f64));
        let basis = if self.measured { "after what ran here before" } else { "a guess, before anything ran here" };
        format!(
            "it would take about {time} ({basis}), write {} and hold up to {} of memory",
            size(self.bytes as u64),
            size(memory as u64)
        )
    }
}
