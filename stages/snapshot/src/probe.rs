//! The probe windows. They depend on the dataset and the block size only, so that differences between steps, runs and seeds
//! come from the model.

use declarations::Fault;
use random_streams::SliceRandom;
use schemas::Alphabet;
use schemas::enums::WindowKind;
use schemas::tables::Windows;

use declarations::snapshot::Parameters;

/// The text that probe windows are taken from.
pub(crate) struct ProbeText<'a> {
    pub(crate) dataset: &'a str,
    pub(crate) alphabet: &'a Alphabet,
    pub(crate) val: &'a [u16],
}

/// Windows of the validation split, then windows of a random block that occurs twice.
///
/// # Errors
/// An input fault if the split is shorter than a block or longer than the range of positions.
pub(crate) fn windows(text: &ProbeText<'_>, parameters: &Parameters, block_size: usize) -> Result<Vec<Windows>, Fault> {
    let ProbeText { dataset, alphabet, val } = *text;
    if val.len() < block_size {
        return Err(Fault::input(format!(
            "the val split has {} characters, fewer than the model's block_size {block_size}: prepare a longer text",
            val.len()
        )));
    }
    let mut windows = Vec::new();
    let mut push = |kind: WindowKind, start: usize, tokens: Vec<u16>| -> Result<(), Fault> {
        let text = alphabet.decode(&tokens);
        let window = u16::try_from(windows.len()).expect("the declaration bounds the number of windows");
        let start = u32::try_from(start).map_err(|_| {
            Fault::input(format!(
                "the val split has {} characters, and positions are numbered up to {}: prepare a shorter one, with a smaller \
                 --val-fraction",
                val.len(),
                u32::MAX
            ))
        })?;
        windows.push(Windows { window, kind, start, tokens, text });
        Ok(())
    };
    for start in evenly_spaced(val.len() - block_size, parameters.val_windows) {
        push(WindowKind::Val, start, val[start..][..block_size].to_vec())?;
    }
    // No symbol occurs twice in a block, so that only the first copy predicts the second.
    let length = (block_size / 2).min(alphabet.len());
    let repeats = if length == 0 { 0 } else { parameters.repeat_windows };
    for number in 0..repeats {
        let mut symbols: Vec<u16> = (0..=u16::MAX).take(alphabet.len()).collect();
        let mut stream =
            random_streams::stream("repeat windows", &[&dataset, &(block_size as u64), &u64::from(number)]);
        symbols.shuffle(&mut stream);
        symbols.truncate(length);
        push(WindowKind::Repeat, 0, symbols.repeat(2))?;
    }
    Ok(windows)
}

/// `count` starts from 0 to `last`, both included if there are at least two.
fn evenly_spaced(last: usize, count: u16) -> impl Iterator<Item = usize> {
    let gaps = usize::from(count).saturating_sub(1).max(1);
    (0..usize::from(count)).map(move |number| number * last / gaps)
}

#[cfg(test)]
mod tests {
    use declarations::snapshot::Snapshot;
    use declarations::{Device, Stage};
    use schemas::tables::Vocabulary;

    use super::*;

    fn asking_for(val_windows: u16, repeat_windows: u16) -> Parameters {
        Parameters { steps: Default::default(), val_windows, repeat_windows, device: Device::Cpu }
    }

    fn made_with(parameters: &Parameters, block_size: usize, symbols: usize, val: usize) -> Vec<Windows> {
        let tokens = (0..=u16::MAX).take(symbols);
        let rows: Vec<_> =
            tokens.clone().map(|token| Vocabulary::row(token, token.to_string().into_bytes(), 0)).collect();
        let val: Vec<u16> = tokens.cycle().take(val).collect();
        let text = ProbeText { dataset: "a dataset", alphabet: &Alphabet::new(&rows), val: &val };
        windows(&text, parameters, block_size).expect("windows")
    }

    fn made(block_size: usize, symbols: usize, val: usize) -> Vec<Windows> {
        made_with(&asking_for(3, 2), block_size, symbols, val)
    }

    #[test]
    fn every_window_that_can_be_numbered_has_a_number_of_its_own() {
        let most = made_with(&asking_for(u16::MAX, 1), 2, 3, 100);
        assert!(most.iter().map(|window| window.window).eq(0..=u16::MAX));
        for (val_windows, repeat_windows) in [(u16::MAX, 2), (40_000, 40_000)] {
            let parameters =
                Parameters { steps: "0".parse().expect("steps"), ..asking_for(val_windows, repeat_windows) };
            let refused = Snapshot::validate(&parameters).expect_err("too many");
            assert!(refused.message.contains("at most 65536"), "{refused:?}");
        }
    }

    #[test]
    fn as_many_symbols_as_tokens_can_number_are_all_drawn_from() {
        let windows = made(10, 1 << 16, 1 << 17);
        assert_eq!(windows[3].tokens.len(), 10);
        assert!(windows[3].tokens.iter().any(|&token| token > 1000), "{:?}", windows[3].tokens);
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
        let windows = made(1, 7, 100);
        let of_text = windows.iter().all(|window| window.kind == WindowKind::Val);
        assert!(of_text, "a block of one character has no half to repeat");
        assert_ne!(made(10, 7, 100)[3].tokens, made(10, 7, 100)[4].tokens);
        assert_eq!(made(10, 7, 100), made(10, 7, 100));
    }
}
