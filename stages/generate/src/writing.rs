//! Generation: the samples of each step's model, their timings and their attention.

use std::time::Instant;

use declarations::Fault;
use declarations::generate::Parameters;
use model::{Decoder, Model};
use random_streams::stream;
use schemas::Alphabet;
use schemas::enums::Activity;
use schemas::tables::{SampleAttention, SampleLayers, Samples, Timings};

use crate::generation::{Sampling, feed, sample};
use crate::scoring::{MODEL, VALIDATION};
use crate::tracked::Tracked;

/// The rows of all steps.
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

/// The inputs that all steps share.
pub struct Writer<'run> {
    /// What is generated.
    pub parameters: &'run Parameters,
    /// The seed of the training.
    pub seed: u64,
    /// The dataset's symbols.
    pub alphabet: &'run Alphabet,
    /// The tokens that every text starts from.
    pub prompt: &'run [u16],
    /// Windows of real text, fed for their attention if it is tracked.
    pub windows: &'run [&'run [u16]],
}

impl Writer<'_> {
    /// How many texts are generated from a step's model.
    fn samples(&self, last: bool) -> u16 {
        let Parameters { samples, last_samples, .. } = *self.parameters;
        last_samples.filter(|_| last).unwrap_or(samples)
    }

    /// The number of texts that are generated from these many steps.
    pub fn sampled(&self, steps: usize) -> usize {
        let others = steps.saturating_sub(1) * usize::from(self.samples(false));
        others + usize::from(self.samples(true))
    }

    /// The number of texts that are fed for their attention.
    pub fn fed(&self) -> usize {
        let samples = usize::from(self.samples(true));
        if self.parameters.track { samples + samples.min(self.windows.len()) } else { 0 }
    }

    /// Generates the samples of one step. At the last step they are generated without tracking, so that their timings are the
    /// speed of generation, and fed again for their attention; at other steps they are tracked while they are generated.
    ///
    /// # Errors
    /// An input fault if a logit is NaN or infinite.
    pub fn generate(
        &self,
        model: &Model,
        step: u32,
        last: bool,
        progress: &cli::Progress,
        written: &mut Written,
    ) -> Result<(), Fault> {
        let samples = self.samples(last);
        let Parameters { length, temperature, context_policy, track, .. } = *self.parameters;
        let config = model.config();
        let batch = usize::from(samples);
        let top_k = (self.parameters.top_k as usize).min(self.alphabet.len());
        let sampling = Sampling { prompt: self.prompt, length: length as usize, temperature, top_k };
        let key = |sample: u16| stream("sampling", &[&self.seed, &u64::from(step), &u64::from(sample)]);
        let mut streams: Vec<_> = (0..samples).map(key).collect();
        let mut tracked = Tracked::new(batch, config.n_layer, config.n_head);

        let unit = self.alphabet.unit();
        let started = Instant::now();
        let mut done = 0;
        let mut decoder = Decoder::new(model, batch, context_policy, track && !last);
        let texts = sample(
            |tokens| decoder.append(tokens),
            &sampling,
            &mut streams,
            |prediction| {
                tracked.observe(&prediction.attention);
                done += u64::from(samples);
                let speed = done as f64 / started.elapsed().as_secs_f64();
                progress.note(format!("step {step} · {speed:.0} {unit}s/s"));
                progress.advance(u64::from(samples));
            },
        );
        let wall_secs = started.elapsed().as_secs_f64() / f64::from(samples);
        let texts = texts.ok_or(model::Error::Diverged { step })?;

        let attend = |texts: &[Vec<u16>]| {
            let mut tracked = Tracked::new(texts.len(), config.n_layer, config.n_head);
            let mut decoder = Decoder::new(model, texts.len(), context_policy, true);
            feed(
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
        if track && last && !self.windows.is_empty() {
            // Evenly spaced over the validation split.
            let count = batch.min(self.windows.len());
            let real: Vec<Vec<u16>> =
                (0..count).map(|number| self.windows[number * self.windows.len() / count].to_vec()).collect();
            written.attention.extend(attend(&real).heads(step, VALIDATION));
        }

        for (sample, tokens) in (0..samples).zip(texts) {
            written.timings.push(Timings {
                activity: Activity::Generation,
                step,
                sample: Some(sample),
                wall_secs,
                characters: u64::from(length),
            });
            written.samples.push(Samples {
                step,
                sample,
                prompt: self.alphabet.decode(self.prompt),
                prompt_tokens: self.prompt.to_vec(),
                text: self.alphabet.decode(&tokens),
                tokens,
                temperature,
                top_k: u32::try_from(top_k).expect("--top-k is a u32"),
                context_policy,
            });
        }
        Ok(())
    }
}
