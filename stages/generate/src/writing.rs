//! Generation: the samples of each step's model, their timings and their attention.

use std::time::Instant;

use declarations::generate::Parameters;
use declarations::{Fault, Schedule};
use model::{Decoder, Model};
use random_streams::stream;
use schemas::Alphabet;
use schemas::enums::Activity;
use schemas::tables::{GeneratedAttention, SampleAttention, SampleLayers, Samples, Timings};

use crate::generation::{Sampling, feed, sample};
use crate::kept::Kept;
use crate::scoring::{MODEL, VALIDATION};
use crate::tracked::Tracked;

/// The rows of all steps.
pub struct Written {
    /// Rows of `samples`.
    pub samples: Vec<Samples>,
    /// Rows of `timings`.
    pub timings: Vec<Timings>,
    /// Rows of `sample_attention`.
    pub attention: Vec<SampleAttention>,
    /// Rows of `sample_layers`.
    pub layers: Vec<SampleLayers>,
    /// The file of `generated_attention`, a row group for each sample: its rows are large.
    pub kept: Option<schemas::Writer<GeneratedAttention>>,
}

impl Written {
    /// No rows yet; attention is kept in this file, if it is tracked.
    pub fn new(kept: Option<schemas::Writer<GeneratedAttention>>) -> Self {
        Self { samples: Vec::new(), timings: Vec::new(), attention: Vec::new(), layers: Vec::new(), kept }
    }
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

    /// How many samples of a step's model have their attention kept for every token.
    fn kept(&self, last: bool) -> u16 {
        let Parameters { kept_samples, kept_steps, .. } = *self.parameters;
        if last || kept_steps == Schedule::Snapshots { kept_samples } else { 0 }
    }

    /// Generates the samples of one step. At the last step they are generated without tracking, so that their timings are the
    /// speed of generation, and fed again for their attention; at other steps they are tracked while they are generated.
    ///
    /// # Errors
    /// An input fault if a logit is NaN or infinite, or the file of kept attention cannot be written.
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
        let kept = if track { self.kept(last) } else { 0 };
        let observer = |texts: usize, kept: u16| {
            (Tracked::new(texts, config.n_layer, config.n_head), Kept::new(step, kept, texts, config.n_head))
        };
        let (mut tracked, mut rows) = observer(batch, kept);

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
                rows.observe(&prediction.attention);
                done += u64::from(samples);
                let speed = done as f64 / started.elapsed().as_secs_f64();
                progress.note(format!("step {step} · {speed:.0} {unit}s/s"));
                progress.advance(u64::from(samples));
            },
        );
        let wall_secs = started.elapsed().as_secs_f64() / f64::from(samples);
        let texts = texts.ok_or(model::Error::Diverged { step })?;

        let attend = |texts: &[Vec<u16>], kept: u16| {
            let (mut tracked, mut rows) = observer(texts.len(), kept);
            let mut decoder = Decoder::new(model, texts.len(), context_policy, true);
            feed(
                |tokens| decoder.append(tokens),
                self.prompt,
                texts,
                |prediction| {
                    tracked.observe(&prediction.attention);
                    rows.observe(&prediction.attention);
                    progress.advance(texts.len() as u64);
                },
            );
            (tracked, rows)
        };
        if track && last {
            progress.note(format!("step {step} · tracking"));
            (tracked, rows) = attend(&texts, kept);
        }
        if track {
            written.attention.extend(tracked.heads(step, MODEL));
            written.layers.extend(tracked.layers(step));
        }
        if let Some(file) = &mut written.kept {
            rows.texts().iter().try_for_each(|rows| file.write(rows))?;
        }
        if track && last && !self.windows.is_empty() {
            // Evenly spaced over the validation split.
            let count = batch.min(self.windows.len());
            let real: Vec<Vec<u16>> =
                (0..count).map(|number| self.windows[number * self.windows.len() / count].to_vec()).collect();
            written.attention.extend(attend(&real, 0).0.heads(step, VALIDATION));
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
