//! The stage `generate` on small tables: its tables, reproducibility and errors.

mod little;

use std::error::Error;
use std::path::Path;

use cli::Terminal;
use declarations::generate::Generate;
use declarations::{Fault, Job, Kind};
use little::{SYMBOLS, inputs, inputs_of, node};
use model::GptConfig;
use schemas::Provenance;
use schemas::enums::{Activity, ContextPolicy, Split, TextSource};
use schemas::tables::{
    Corpus, GeneratedAttention, SampleAttention, SampleLayers, SampleScores, Samples, Timings, Vocabulary,
};

/// The smallest vocabulary and context: two symbols, neither of them a letter, and a block of two.
const LEAST_SYMBOLS: &str = "01";
const LEAST_CONFIG: GptConfig =
    GptConfig { n_layer: 1, n_head: 1, n_embd: 4, block_size: 2, vocab_size: 2, bias: false, dropout: 0.0 };

fn generate(root: &Path, flags: &str) -> Result<(), Fault> {
    let root = root.to_str().expect("a UTF-8 path");
    let line = format!("generate --artifacts {root} --dataset little --run run_3 --seed 7 {flags}");
    generate::run(&Job::<Generate>::parse(line.split(' '))?, &Terminal::silent())
}

const QUALITY: &str = "--steps 0,5 --samples 3 --length 60 --score true --track true";

#[test]
fn the_last_step_can_have_more_samples() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let artifacts = inputs(folder.path())?;
    generate(folder.path(), &format!("{QUALITY} --last-samples 5"))?;
    let samples = artifacts.read::<Samples>(&node())?.rows;
    let of = |step| samples.iter().filter(|row| row.step == step).count();
    assert_eq!((of(0), of(5)), (3, 5));
    let scored = artifacts.read::<SampleScores>(&node())?.rows;
    let of_last = scored.iter().filter(|row| row.step == Some(5) && row.source == TextSource::Model).count();
    assert_eq!(of_last, 5);
    let attention = artifacts.read::<SampleAttention>(&node())?.rows;
    let samples_of = |source| -> std::collections::BTreeSet<u16> {
        attention.iter().filter(|row| row.step == 5 && row.source == source).map(|row| row.sample).collect()
    };
    assert_eq!(samples_of(TextSource::Model).len(), 5);
    assert!(samples_of(TextSource::Validation).len() <= 5);
    Ok(())
}

#[test]
fn attention_is_kept_token_by_token() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let artifacts = inputs(folder.path())?;
    let kept = |flags: &str| -> Result<Vec<GeneratedAttention>, Box<dyn Error>> {
        generate(folder.path(), format!("{QUALITY} {flags}").trim())?;
        Ok(artifacts.read::<GeneratedAttention>(&node())?.rows)
    };
    let texts = |rows: &[GeneratedAttention]| {
        let mut texts: Vec<_> = rows.iter().map(|row| (row.step, row.sample)).collect();
        texts.dedup();
        texts
    };
    assert_eq!(texts(&kept("")?), [(5, 0)]);
    assert_eq!(texts(&kept("--kept-samples 0")?), []);
    assert_eq!(texts(&kept("--kept-samples 9 --last-samples 4")?), [(5, 0), (5, 1), (5, 2), (5, 3)]);
    let rows = kept("--kept-samples 2 --kept-steps snapshots --context-policy rollover")?;
    assert_eq!(texts(&rows), [(0, 0), (0, 1), (5, 0), (5, 1)]);
    // Every token, layer and head in order; the prompt is one token, and a block is 12, of which a full one keeps half.
    let keys = |row: &GeneratedAttention| (row.position, row.layer, row.head);
    let expected =
        (0..60).flat_map(|position| (0..3).flat_map(move |layer| (0..2).map(move |head| (position, layer, head))));
    assert!(rows[..360].iter().map(keys).eq(expected));
    let contexts: Vec<usize> = rows[..360].iter().step_by(6).map(|row| row.weights.len()).collect();
    assert_eq!((contexts[0], contexts[11], contexts[12], contexts[18]), (1, 12, 6, 12));
    // The means over rows of more than one key are those of the other table.
    let means = artifacts.read::<SampleAttention>(&node())?.rows;
    for mean in means.iter().filter(|row| row.source == TextSource::Model && row.sample < 2) {
        let of_head = |row: &&GeneratedAttention| {
            (row.step, row.sample, row.layer, row.head) == (mean.step, mean.sample, mean.layer, mean.head)
        };
        let first: Vec<f64> = rows
            .iter()
            .filter(of_head)
            .filter(|row| row.weights.len() > 1)
            .map(|row| f64::from(row.weights[0]) / row.weights.iter().copied().map(f64::from).sum::<f64>())
            .collect();
        let found = first.iter().sum::<f64>() / first.len() as f64;
        assert!((found - mean.first_token_mass).abs() < 1e-9, "{found} {mean:?}");
    }
    Ok(())
}

#[test]
fn every_table_is_written() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let artifacts = inputs(folder.path())?;
    generate(folder.path(), QUALITY)?;

    let samples = artifacts.read::<Samples>(&node())?;
    let keys: Vec<_> = samples.rows.iter().map(|row| (row.step, row.sample)).collect();
    assert_eq!(keys, [(0, 0), (0, 1), (0, 2), (5, 0), (5, 1), (5, 2)]);
    for row in &samples.rows {
        let decoded: String = row.tokens.iter().filter_map(|&token| SYMBOLS.chars().nth(token.into())).collect();
        assert_eq!((row.text.as_str(), row.tokens.len()), (decoded.as_str(), 60));
        assert_eq!((row.prompt.as_str(), row.temperature, row.top_k), (" ", 0.8, 10));
        assert_eq!(row.context_policy, ContextPolicy::Exact);
    }
    assert_ne!(samples.rows[0].text, samples.rows[1].text);
    assert_eq!(samples.provenance.config["steps"], "0,5");
    assert_eq!(samples.provenance.inputs.len(), 3, "the vocabulary and two checkpoints");

    let timings = artifacts.read::<Timings>(&node().stage("generate"))?.rows;
    let keys: Vec<_> = timings.iter().map(|row| (row.step, row.sample, row.characters)).collect();
    assert_eq!(keys[..3], [(0, Some(0), 60), (0, Some(1), 60), (0, Some(2), 60)]);
    assert_eq!(keys.len(), 6);
    assert!(timings.iter().all(|row| row.activity == Activity::Generation && row.wall_secs > 0.0));

    let attention = artifacts.read::<SampleAttention>(&node())?.rows;
    let of = |step, source| attention.iter().filter(|row| row.step == step && row.source == source).count();
    assert_eq!(
        (of(0, TextSource::Model), of(5, TextSource::Model), of(5, TextSource::Validation), attention.len()),
        (18, 18, 18, 54)
    );
    for row in &attention {
        assert!((0.0..=1.0).contains(&row.normalized_entropy) && (0.0..=1.0).contains(&row.first_token_mass));
        assert!(row.entropy_nats <= 12f64.ln() && row.mean_distance <= 11.0 && row.output_norm > 0.0);
    }
    let layers = artifacts.read::<SampleLayers>(&node())?.rows;
    let keys: Vec<_> = layers.iter().map(|row| (row.step, row.sample, row.layer_a, row.layer_b)).collect();
    assert_eq!(keys[..3], [(0, 0, 0, 1), (0, 0, 1, 2), (0, 1, 0, 1)]);
    assert_eq!(layers.len(), 12);
    assert!(layers.iter().all(|row| (0.0..=1.0).contains(&row.js_divergence)));

    let scores = artifacts.read::<SampleScores>(&node())?.rows;
    let of = |source| scores.iter().filter(|row| row.source == source).collect::<Vec<_>>();
    assert_eq!(
        [TextSource::Model, TextSource::Validation, TextSource::Shuffled, TextSource::Trigram]
            .map(|source| of(source).len()),
        [6, 200, 200, 50]
    );
    assert!(
        of(TextSource::Model).iter().all(|row| row.step.is_some())
            && of(TextSource::Trigram).iter().all(|row| row.step.is_none())
    );
    assert!(scores.iter().all(|row| row.quality.is_some_and(|quality| quality < 0.0)));
    let (real, shuffled) = (of(TextSource::Validation), of(TextSource::Shuffled));
    assert!(real.iter().zip(&shuffled).all(|(real, shuffled)| real.distinct_1 == shuffled.distinct_1));
    // Sixty characters are one segment and a rest under fifty.
    assert!(scores.iter().all(|row| row.coherence.is_none() && row.distinct_8.is_some() && row.novelty_16.is_some()));
    Ok(())
}

#[test]
fn the_smallest_text_and_model_give_nulls_and_finite_numbers() -> Result<(), Box<dyn Error>> {
    for policy in ["exact", "rollover"] {
        let folder = tempfile::tempdir()?;
        let artifacts = inputs_of(folder.path(), LEAST_SYMBOLS, &[], &LEAST_CONFIG)?;
        let flags = format!("--steps 0,5 --samples 3 --length 12 --score true --track true --context-policy {policy}");
        generate(folder.path(), &flags)?;

        assert!(artifacts.read::<Samples>(&node())?.rows.iter().all(|row| row.prompt == "0" && row.tokens.len() == 12));
        assert!(artifacts.read::<SampleLayers>(&node())?.rows.is_empty(), "one layer has no adjacent one");
        let attention = artifacts.read::<SampleAttention>(&node())?.rows;
        assert_eq!(attention.len(), 9);
        for row in attention {
            assert!(row.entropy_nats <= 2f64.ln() && row.normalized_entropy <= 1.0 && row.mean_distance <= 1.0);
            assert!(row.first_token_mass <= 1.0 && row.output_norm.is_finite());
        }
        for row in artifacts.read::<SampleScores>(&node())?.rows {
            // Twelve characters without a letter have no 16-gram, fewer than two segments and no word.
            let none = [row.repetition_16, row.coherence, row.novelty_16, row.word_validity];
            assert_eq!(none, [None; 4]);
            let some = [row.distinct_1, row.distinct_8, row.repetition_8, row.compression_ratio, row.quality];
            assert!(some.iter().all(|value| value.is_some_and(f64::is_finite)), "{row:?}");
        }
    }
    Ok(())
}

#[test]
fn reruns_and_other_numbers_of_threads_give_the_same_bytes() -> Result<(), Box<dyn Error>> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let bytes = |root: &Path, threads: u32| -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let artifacts = inputs(root)?;
        generate(root, &format!("{QUALITY} --threads {threads}"))?;
        let paths = [
            artifacts.path::<Samples>(&node())?,
            artifacts.path::<SampleAttention>(&node())?,
            artifacts.path::<SampleLayers>(&node())?,
            artifacts.path::<SampleScores>(&node())?,
        ];
        Ok(paths.iter().map(std::fs::read).collect::<Result<_, _>>()?)
    };
    assert_eq!(bytes(folders[0].path(), 1)?, bytes(folders[1].path(), 2)?);
    Ok(())
}

#[test]
fn samples_do_not_depend_on_other_steps_scores_or_tracking() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let artifacts = inputs(folder.path())?;
    generate(folder.path(), QUALITY)?;
    let all = artifacts.read::<Samples>(&node())?.rows;

    let alone = tempfile::tempdir()?;
    let artifacts = inputs(alone.path())?;
    generate(alone.path(), "--steps 5 --samples 2 --length 60")?;
    assert_eq!(artifacts.read::<Samples>(&node())?.rows, all[3..5]);
    assert!(!artifacts.has::<SampleScores>(&node()) && !artifacts.has::<SampleAttention>(&node()));

    // Until the block of twelve is full, both policies give the same context.
    generate(alone.path(), "--steps 5 --samples 2 --length 60 --context-policy rollover")?;
    let rollover = artifacts.read::<Samples>(&node())?.rows;
    assert_eq!(rollover[0].tokens[..12], all[3].tokens[..12]);
    assert_eq!(rollover[0].context_policy, ContextPolicy::Rollover);
    Ok(())
}

#[test]
fn at_a_temperature_of_0_all_samples_are_the_greedy_one() -> Result<(), Box<dyn Error>> {
    let texts = |flags: &str| -> Result<Vec<Samples>, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let artifacts = inputs(folder.path())?;
        generate(folder.path(), &format!("--steps 5 --samples 3 --length 60 {flags}"))?;
        Ok(artifacts.read::<Samples>(&node())?.rows)
    };
    let (cold, greedy) = (texts("--temperature 0")?, texts("--top-k 1")?);
    assert!(cold.iter().all(|row| row.temperature == 0.0 && row.text == greedy[0].text), "{cold:?}");
    Ok(())
}

#[test]
fn feeding_a_sample_gives_the_attention_of_generating_it() -> Result<(), Box<dyn Error>> {
    let rows = |flags: &str| -> Result<Vec<SampleAttention>, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let artifacts = inputs(folder.path())?;
        generate(folder.path(), flags)?;
        let rows = artifacts.read::<SampleAttention>(&node())?.rows;
        Ok(rows.into_iter().filter(|row| row.step == 0 && row.source == TextSource::Model).collect())
    };
    // As the last step, 0 is fed; otherwise it is tracked during generation.
    assert_eq!(
        rows("--steps 0 --samples 2 --length 30 --track")?,
        rows("--steps 0,5 --samples 2 --length 30 --track")?
    );
    Ok(())
}

#[test]
fn errors_say_what_is_wrong() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let artifacts = inputs(folder.path())?;
    let fault = |flags: &str| {
        let fault = generate(folder.path(), flags).expect_err("it cannot work");
        (fault.kind(), fault.to_string())
    };
    let (kind, message) = fault("--steps 3 --device cuda");
    assert!(kind == Kind::Parameter && message.contains("--device cuda"), "before inputs are read: {message}");
    let (kind, message) = fault("--steps 0,3");
    assert!(kind == Kind::Input && message.contains("step=3") && message.contains("train"), "{message}");
    let (kind, message) = fault("--steps 0 --prompt abz");
    assert!(kind == Kind::Parameter && message.contains("'z'"), "{message}");
    assert_eq!(fault("--steps ,").0, Kind::Parameter);
    assert_eq!(fault("--steps 0 --prompt=").0, Kind::Parameter);

    let path = artifacts.path::<Corpus>(&node().split(Split::Train))?;
    let whole = std::fs::read(&path)?;
    std::fs::write(&path, &whole[..whole.len() / 2])?;
    let (kind, message) = fault("--steps 0 --score");
    assert!(kind == Kind::Input && message.contains("damaged"), "{message}");
    assert!(!artifacts.has::<Samples>(&node()), "a failed stage writes nothing");

    let mut rows = artifacts.read::<Vocabulary>(&node())?.rows;
    rows.truncate(9);
    artifacts.write(&node(), &Provenance::new("test", 1, serde_json::json!({})), &rows)?;
    let (kind, message) = fault("--steps 0");
    assert!(kind == Kind::Input && message.contains("10 symbols") && message.contains("has 9"), "{message}");
    Ok(())
}
