//! The stage `metrics`.

use crate::{Invalid, Steps, TrainingPlan, TrainingStage, cost, stage};

stage! {
    /// Compute attention metrics of snapshots: by head, by layer, between layers, by attended character, and under uniform attention
    Metrics "metrics" results 2 per Training
    example "metrics --dataset shakespeare_char --run run_2 --seed 1337 --steps 0,50,100-2000/100 --layer-similarity true"
    derived {
        /// Steps of the snapshots to measure, such as 0,50,100-2000/100
        steps: Steps,
    }
    parameters "Metrics" {
        /// Whether every pair of layers is compared too: the table layer_similarity
        layer_similarity: bool = false,
    }
    check |parameters| match parameters.steps.is_empty() {
        true => Err(Invalid::new("steps", "names no step: write those of the snapshots, such as 0,50,100-2000/100")),
        false => Ok(()),
    };
    reads {
        Attention.at(|parameters, _| parameters.steps.clone()),
        Windows,
        HeadOutputs,
    }
    writes {
        HeadMetrics,
        LayerMetrics,
        Baselines,
        AttendedCharacters,
        LayerSimilarity.when(|parameters, _| parameters.layer_similarity),
    }
    cost |parameters, training| cost::metrics(parameters.steps.count(), training);
}

impl TrainingStage for Metrics {
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        Derived { steps: plan.steps.clone() }
    }
}
