//! What one model after the other writes: samples, how long they took, and what was attended to.

use std::time::Instant;

use cli::Fault;
use model::{Decoder, Model};
use random_streams::stream;
use schemas::tables::{SampleAttention, SampleLayers, Samples, Timings};

use crate::alphabet::Alphabet;
use crate::generation::{Manner, follow, write};
use crate::scoring::{MODEL, VALIDATION};
use crate::tracked::Tracked;
use crate::{Arguments, Parameters};

/// What was generated and measured, all steps together.
#[derive(Default)]
pub struct Written {
    /// Rows of `samples`.
    pub samples: Vec<Samples>,
    /// Rows of `timings`.
    pub timings: Vec<Timings>,
    /// Rows of `sample_attention`.
    pub attention: Vec<SampleAttention>,
    /// Rows of `sample_layers`.
    pub layers: Vec<SampleLayers>,
}

/// What all steps share.
pub struct Writer<'run> {
    /// The command line.
    pub arguments: &'run Arguments,
    /// The dataset's symbols.
    pub alphabet: &'run Alphabet,
    /// What every text starts from.
    pub prompt: &'run [u16],
    /// Real text to follow, if attention is tracked.
    pub windows: &'run [&'run [u16]],
}

impl Writer<'_> {
    /// Texts that are fed again or fed alone for their attention.
    pub fn followed(&self) -> usize {
        let samples = usize::from(self.arguments.parameters.samples);
        if self.arguments.parameters.track { samples + samples.min(self.windows.len()) } else { 0 }
    }

    /// Samples of one model. The last step's are timed without tracking, which is how speed is defined, and followed again
    /// for the attention; the other steps' are tracked while they are written.
    ///
    /// # Errors
    /// An input fault if the model predicts what is not finite.
    pub fn generate(
        &self,
        model: &Model,
        step: u32,
        last: bool,
        progress: &cli::Progress,
        written: &mut Written,
    ) -> Result<(), Fault> {
        let Parameters { samples, length, temperature, context_policy, track, .. } = self.arguments.parameters;
        let config = model.config();
        let batch = usize::from(samples);
        let top_k = (self.arguments.parameters.top_k as usize).min(self.alphabet.len());
        let manner = Manner { prompt: self.prompt, length: length as usize, temperature, top_k };
        let key = |sample: u16| stream("sampling", &[&self.arguments.node.seed, &u64::from(step), &u64::from(sample)]);
        let mut streams: Vec<_> = (0..samples).map(key).collect();
        let mut tracked = Tracked::new(batch, config.n_layer, config.n_head);

        let started = Instant::now();
        let mut done = 0;
        let mut decoder = Decoder::new(model, batch, context_policy, track && !last);
        let texts = write(
            |tokens| decoder.append(tokens),
            &manner,
            &mut streams,
            |prediction| {
                tracked.observe(&prediction.attention);
                done += u64::from(samples);
                progress
                    .note(format!("step {step} · {:.0} characters/s", done as f64 / started.elapsed().as_secs_f64()));
                progress.advance(u64::from(samples));
            },
        );
        let wall_secs = started.elapsed().as_secs_f64() / f64::from(samples);
        let texts = texts.ok_or_else(|| {
            Fault::input(format!(
                "the model of step {step} predicts no finite numbers: its training diverged; rerun `train` with a lower --learning-rate"
            ))
        })?;

        let attend = |texts: &[Vec<u16>]| {
            let mut tracked = Tracked::new(texts.len(), config.n_layer, config.n_head);
            let mut decoder = Decoder::new(model, texts.len(), context_policy, true);
            follow(
                |tokens| decoder.append(tokens),
                self.prompt,
                texts,
                |prediction| {
                    tracked.observe(&prediction.attention);
                    progress.advance(texts.len() as u64);
                },
            );
            tracked
        };
        if track && last {
            progress.note(format!("step {step} · tracking"));
            tracked = attend(&texts);
        }
        if track {
            written.attention.extend(tracked.heads(step, MODEL));
            written.layers.extend(tracked.layers(step));
        }
        if track && last {
            // From all over the validation text.
            let count = batch.min(self.windows.len());
            let real: Vec<Vec<u16>> =
                (0..count).map(|number| self.windows[number * self.windows.len() / count].to_vec()).collect();
            written.attention.extend(attend(&real).heads(step, VALIDATION));
        }

        for (sample, tokens) in (0..samples).zip(texts) {
            written.timings.push(Timings {
                activity: "generation".to_owned(),
                step,
                sample: Some(sample),
                wall_secs,
                characters: u64::from(length),
            });
            written.samples.push(Samples {
                step,
                sample,
                prompt: self.alphabet.decode(self.prompt),
                text: self.alphabet.decode(&tokens),
                tokens,
                temperature,
                top_k: top_k as u32,
                context_policy: context_policy.to_string(),
            });
        }
        Ok(())
    }
}
