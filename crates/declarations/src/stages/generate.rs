//! The stage `generate`.

use schemas::enums::Split;

use crate::{ContextPolicy, Facts, Invalid, Schedule, Steps, TrainingPlan, TrainingStage, cost, stage};

stage! {
    /// Generate text from checkpoints, and score it
    ///
    /// For every step, the checkpoint generates a batch of samples (table samples, speed in timings). With --score, the samples
    /// and, beside them, real text, shuffled real text and a trigram model's text are scored (sample_scores). With --track, the
    /// attention behind every character is averaged (sample_attention, sample_layers), and kept for the first sample of the last
    /// step (generated_attention). The same seed gives the same text for any number of threads; with another --samples, the logits
    /// of a long text may differ in their last bits.
    Generate "generate" results 3 per Training on device
    example "generate --dataset shakespeare_char --run run_3 --seed 1337 --steps 0,500,2000 --score true --track true"
    derived {
        /// Steps whose checkpoints generate, such as 0,50,100-2000/100; the last one's speed is a result of the study
        steps: Steps,
    }
    parameters "Sampling" {
        /// Samples per step
        samples: u16 [1..] = 10,
        /// Samples of the last step, from which findings about text come [default: as many as of the others]
        last_samples: Option<u16> = None,
        /// Characters per sample
        length: u32 [1..] = 500,
        /// Sampling temperature; 0 always takes the likeliest symbol (greedy), so that all samples are equal
        temperature: f64 [0.0..] = 0.8,
        /// Draw from so many of the likeliest symbols only, at most the vocabulary
        top_k: u32 [1..] = 200,
        /// What the model sees once a text is longer than its block size
        context_policy: ContextPolicy = ContextPolicy::Exact,
        /// What every sample starts from [default: a blank where the vocabulary has one, else a line feed, else its first symbol]
        prompt: Option<String> = None,
    }
    parameters "Measuring" {
        /// Whether samples and reference texts are scored
        score: bool = false,
        /// Whether attention is tracked during generation
        track: bool = false,
        /// With --track, how many samples of a step have their attention kept for every character (generated_attention)
        kept_samples: u16 = 1,
        /// The steps at which attention is kept: the last one, or all that generate
        kept_steps: Schedule = Schedule::Last,
    }
    schedule {
        /// The checkpoints that generate: the last one, or all snapshots
        steps: Schedule = Schedule::Last,
    }
    check |parameters| {
        if parameters.steps.is_empty() {
            return Err(Invalid::new("steps", "names no step: write some, such as 0,50,100-2000/100"));
        }
        if parameters.last_samples == Some(0) {
            return Err(Invalid::new("last_samples", "must be at least 1"));
        }
        match parameters.prompt.as_deref() {
            Some("") => Err(Invalid::new("prompt", "is empty: the model needs a character to start from")),
            _ => Ok(()),
        }
    };
    text |parameters, text| match parameters.prompt.as_deref().map(|prompt| text.alphabet.encode(prompt)) {
        Some(Err(character)) => {
            Err(Invalid::new("prompt", format!("has {character:?}, which is not in the dataset's vocabulary")))
        }
        _ => Ok(()),
    };
    warn |parameters, facts| parameters.doubts(facts);
    reads {
        Vocabulary,
        Corpus.splits(|parameters| match (parameters.score, parameters.track) {
            (true, _) => &[Split::Train, Split::Val],
            (false, true) => &[Split::Val],
            (false, false) => &[],
        }),
        SemanticSpace.when(|parameters, _| parameters.score),
        Checkpoints.at(|parameters, _| parameters.steps.clone()),
    }
    writes {
        Samples,
        Timings.stages(&["generate"]),
        SampleScores.when(|parameters, _| parameters.score),
        SampleAttention.when(|parameters, _| parameters.track),
        GeneratedAttention.when(|parameters, _| parameters.track),
        SampleLayers.when(|parameters, _| parameters.track),
    }
    cost cost::generate;
}

impl TrainingStage for Generate {
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        Derived { steps: plan.checkpoints(plan.sections.generate.steps) }
    }
}

impl Parameters {
    /// What the text and the block size make of the prompt and of the texts that samples are compared with.
    fn doubts(&self, facts: &Facts<'_>) -> Vec<Invalid> {
        let mut found = Vec::new();
        let tokens = |prompt: &str| match facts.text.map(|text| text.alphabet.encode(prompt)) {
            Some(encoded) => encoded.map_or(0, |tokens| tokens.len()),
            None => prompt.chars().count(),
        };
        let beyond = self.prompt.as_deref().map(tokens).zip(facts.block_size);
        if let Some((_, block_size)) = beyond.filter(|(given, block_size)| *given > *block_size as usize) {
            found.push(Invalid::new(
                "prompt",
                format!("is longer than block_size, which is {block_size}: the model sees its last {block_size} tokens at most"),
            ));
        }
        let Some(text) = facts.text else { return found };
        let (unit, length) = (text.alphabet.unit(), self.length as usize);
        if (self.score || self.track) && text.val < 2 * length {
            let compared = match text.val < length {
                true => format!("samples are compared with real text of {} {unit}s, which is shorter", text.val),
                false => "the real texts that samples are compared with are nearly the same".to_owned(),
            };
            found.push(Invalid::new(
                "length",
                format!("is {length} {unit}s, and the validation split has {}: {compared}", text.val),
            ));
        }
        found
    }
}
