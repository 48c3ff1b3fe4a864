//! The command line.

use clap::{ArgAction, Args, Parser};
use cli::Steps;
use model::{ContextPolicy, DeviceChoice};
use serde::{Serialize, Serializer};

/// Let a trained model write text, and measure what it writes
///
/// For every step named, the checkpoint writes a batch of samples (table `samples`, speed in `timings`). With --score, the
/// samples and, beside them, real text, shuffled real text and a trigram model's text are scored (`sample_scores`). With
/// --track, the attention behind every character is summed up (`sample_attention`, `sample_layers`). The same seed writes
/// the same text whatever the number of threads and what else is asked for; with other --samples, a long text's logits may differ
/// in their last bits.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "generate",
    version,
    after_help = "Example:\n  generate --artifacts artifacts/laptop --dataset shakespeare_char --run run_3 --seed 1337 \\\n    \
                  --steps 0,500,2000 --score true --track true"
)]
pub struct Arguments {
    /// Where the tables lie.
    #[command(flatten)]
    pub place: cli::Place,
    /// Which training is worked on.
    #[command(flatten)]
    pub node: cli::Node,
    /// What decides the content.
    #[command(flatten)]
    pub parameters: Parameters,
    /// Where the model runs
    #[arg(long, value_enum, default_value_t = DeviceChoice::Cpu, help_heading = "How")]
    pub device: DeviceChoice,
    /// How many threads work.
    #[command(flatten)]
    pub threads: cli::Threads,
    /// How much is said.
    #[command(flatten)]
    pub verbosity: cli::Verbosity,
}

/// What decides the content of what this stage writes.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Parameters")]
pub struct Parameters {
    /// Steps whose checkpoints write, such as 0,50,100-2000/100; the last one's speed is a result of the study
    #[arg(long, value_name = "STEPS")]
    pub steps: Steps,

    /// Samples per step
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub samples: u16,

    /// Characters per sample
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub length: u32,

    /// Sampling temperature: below 1 the likely becomes likelier
    #[arg(long, value_name = "NUMBER", default_value_t = 0.8, value_parser = positive)]
    pub temperature: f64,

    /// Draw from so many of the likeliest symbols only; 1 takes the likeliest, more than there are takes all
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: u32,

    /// What the model sees once a text is longer than its block
    #[arg(long, value_enum, default_value_t = ContextPolicy::Exact)]
    #[serde(serialize_with = "displayed")]
    pub context_policy: ContextPolicy,

    /// What every sample starts from [default: a blank where the vocabulary has it, else a line break, else its first symbol]
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,

    /// Score the samples and the references they are held against
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value_t = false)]
    pub score: bool,

    /// Sum up the attention behind every character
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value_t = false)]
    pub track: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    let usable = number > 0.0 && number.is_finite();
    usable
        .then_some(number)
        .ok_or_else(|| "it must be above 0; for the likeliest symbol always, use --top-k 1".to_owned())
}

fn displayed<S: Serializer>(policy: &ContextPolicy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(policy)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn parameters_alone_reach_the_footer() {
        let line =
            "generate --dataset d --run r --seed 1 --steps 0-10/5 --track --score false --device cpu --threads 3";
        let arguments = Arguments::parse_from(line.split(' '));
        let expected = r#"{"steps":"0,5,10","samples":10,"length":500,"temperature":0.8,"top_k":200,"context_policy":"exact","prompt":null,"score":false,"track":true}"#;
        assert_eq!(serde_json::to_string(&arguments.parameters).expect("plain data"), expected);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in ["--temperature 0", "--temperature nan", "--samples 0", "--top-k 0", "--length 0", "--steps x"] {
            let line = format!("generate --dataset d --run r --seed 1 --steps 0 {wrong}");
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{wrong}");
        }
    }
}
