//! The probe windows: they depend on the dataset and the block size alone, so that what changes from step to step, run to
//! run and seed to seed is the model.

use cli::Fault;
use model::GptConfig;
use random_streams::SliceRandom;
use schemas::enums::WindowKind;
use schemas::tables::{Vocabulary, Windows};

use crate::Parameters;

/// Windows of the validation split, then windows of a random block twice.
pub(crate) fn windows(
    dataset: &str,
    parameters: &Parameters,
    config: &GptConfig,
    vocabulary: &[Vocabulary],
    val: &[u16],
) -> Result<Vec<Windows>, Fault> {
    let block_size = config.block_size;
    if val.len() < block_size {
        return Err(Fault::input(format!(
            "the val split has {} characters, fewer than the model's block of {block_size}: prepare a longer text",
            val.len()
        )));
    }
    let symbol = |token: &u16| {
        let symbol = vocabulary.get(usize::from(*token)).map(|row| row.symbol.as_str());
        symbol.ok_or_else(|| {
            Fault::input(format!(
                "the val split has the symbol {token}, and the vocabulary only {}: rerun `prep`",
                vocabulary.len()
            ))
        })
    };
    let mut windows = Vec::new();
    let mut push = |kind: WindowKind, start: usize, tokens: Vec<u16>| -> Result<(), Fault> {
        let text = tokens.iter().map(symbol).collect::<Result<String, Fault>>()?;
        let (window, start) = (windows.len() as u16, start as u32);
        windows.push(Windows { window, kind, start, tokens, text });
        Ok(())
    };
    for start in evenly_spaced(val.len() - block_size, parameters.val_windows) {
        push(WindowKind::Val, start, val[start..][..block_size].to_vec())?;
    }
    // The same symbol never stands twice in a block, so that only what follows the earlier copy predicts.
    let length = (block_size / 2).min(vocabulary.len());
    let repeats = if length == 0 { 0 } else { parameters.repeat_windows };
    for number in 0..repeats {
        let mut symbols: Vec<u16> = (0..vocabulary.len() as u16).collect();
        let mut stream =
            random_streams::stream("repeat windows", &[&dataset, &(block_size as u64), &u64::from(number)]);
        symbols.shuffle(&mut stream);
        symbols.truncate(length);
        push(WindowKind::Repeat, 0, symbols.repeat(2))?;
    }
    Ok(windows)
}

/// `count` starts from 0 to `last`, both included where there are at least two.
fn evenly_spaced(last: usize, count: u16) -> impl Iterator<Item = usize> {
    let gaps = usize::from(count).saturating_sub(1).max(1);
    (0..usize::from(count)).map(move |number| number * last / gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(block_size: usize, symbols: usize, val: usize) -> Vec<Windows> {
        let parameters = Parameters { steps: Default::default(), val_windows: 3, repeat_windows: 2 };
        let config =
            GptConfig { n_layer: 1, n_head: 1, n_embd: 4, block_size, vocab_size: symbols, bias: false, dropout: 0.0 };
        let vocabulary: Vec<_> = (0..symbols as u16)
            .map(|token| Vocabulary { token, symbol: token.to_string(), code_point: 0, train_count: 0 })
            .collect();
        let val: Vec<u16> = (0..val).map(|at| (at % symbols) as u16).collect();
        windows("a dataset", &parameters, &config, &vocabulary, &val).expect("windows")
    }

    #[test]
    fn validation_windows_span_the_split() {
        let windows = made(10, 7, 100);
        let starts: Vec<_> =
            windows.iter().filter(|window| window.kind == WindowKind::Val).map(|window| window.start).collect();
        assert_eq!(starts, [0, 45, 90]);
        assert_eq!(windows[1].tokens, (45..55).map(|at| at % 7).collect::<Vec<u16>>());
        assert_eq!(windows[0].text, "0123456012");
    }

    #[test]
    fn a_repeated_block_has_different_symbols_twice() {
        for (block_size, symbols, length) in [(10, 7, 5), (30, 7, 7), (2, 7, 1), (9, 2, 2), (2, 2, 1)] {
            let windows = made(block_size, symbols, 100);
            let repeats: Vec<_> = windows.iter().filter(|window| window.kind == WindowKind::Repeat).collect();
            assert_eq!(repeats.len(), 2);
            for window in repeats {
                let (one, two) = window.tokens.split_at(window.tokens.len() / 2);
                assert_eq!((one, one.len()), (two, length));
                let mut different = one.to_vec();
                different.sort_unstable();
                different.dedup();
                assert_eq!(different.len(), length);
            }
        }
        assert!(
            made(1, 7, 100).iter().all(|window| window.kind == WindowKind::Val),
            "a block of one has no half to repeat"
        );
        assert_ne!(made(10, 7, 100)[3].tokens, made(10, 7, 100)[4].tokens);
        assert_eq!(made(10, 7, 100), made(10, 7, 100));
    }
}
