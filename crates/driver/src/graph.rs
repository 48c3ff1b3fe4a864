//! `graph`: the study as a graph for Graphviz.

use std::collections::{BTreeMap, BTreeSet};

use declarations::Fault;

use crate::arguments::Node;
use crate::display::print_plain;
use crate::executor::Executor;
use crate::forecast::Forecast;
use crate::stage::Stage;

impl Executor<'_> {
    /// Prints the graph of stages, or of jobs, as DOT.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn print_graph(&self, by: Node) -> Result<Option<u8>, Fault> {
        let text = match by {
            Node::Stage => self.graph_of_stages(),
            Node::Job => self.graph_of_jobs()?,
        };
        print_plain(&format!(
            "digraph study {{\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n{text}}}"
        ));
        Ok(None)
    }

    fn graph_of_stages(&self) -> String {
        let mut counts: BTreeMap<&Stage, usize> = BTreeMap::new();
        let mut edges: BTreeSet<(&Stage, &Stage)> = BTreeSet::new();
        for job in self.jobs {
            *counts.entry(&job.stage).or_default() += 1;
            edges.extend(job.dependencies.iter().map(|dependency| (&self.jobs[*dependency].stage, &job.stage)));
        }
        // A word of Graphviz's, such as `node`, can be the name of a stage of the user's.
        let id = |stage: &Stage| if stage.own().is_some() { format!("\"{stage}\"") } else { stage.to_string() };
        let node = |(stage, count): (&&Stage, &usize)| {
            let jobs = if *count == 1 { "job" } else { "jobs" };
            format!("  {} [label=\"{stage}\\n{count} {jobs}\"];\n", id(stage))
        };
        let edge = |(from, to): &(&Stage, &Stage)| format!("  {} -> {};\n", id(from), id(to));
        counts.iter().map(node).chain(edges.iter().map(edge)).collect()
    }

    /// Jobs that are up to date are green, stale ones white.
    fn graph_of_jobs(&self) -> Result<String, Fault> {
        let (mut state, history) = self.open()?;
        let forecasts = self.forecast(&mut state, &history);
        let node = |(index, forecast): (usize, &Option<Forecast>)| {
            let done = matches!(forecast, Some(Forecast::UpToDate(_) | Forecast::Restored(_)));
            let colour = if done { ", style=filled, fillcolor=palegreen" } else { "" };
            let label = self.jobs[index].name().replacen(' ', "\\n", 1);
            format!("  job{index} [label=\"{label}\"{colour}];\n")
        };
        let edges = self.jobs.iter().enumerate().flat_map(|(index, job)| {
            job.dependencies.iter().map(move |dependency| format!("  job{dependency} -> job{index};\n"))
        });
        Ok(forecasts.iter().enumerate().map(node).chain(edges).collect())
    }
}
