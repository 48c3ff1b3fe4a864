//! The windows in which every position of a split is predicted once.

use std::ops::Range;

/// A window, and the positions that are predicted in it: those before only give context. Position `i` predicts token `i + 1`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    /// Its positions.
    pub(crate) all: Range<usize>,
    /// Its last ones.
    pub(crate) scored: Range<usize>,
}

/// Windows of `block_size` positions, each after the first scoring the next `stride`. All but the first predict each position from at
/// least `block_size − stride + 1` tokens, the last one too, which is moved back rather than cut. A split of fewer positions is one
/// window.
pub(crate) fn windows(positions: usize, block_size: usize, stride: usize) -> Vec<Window> {
    let first = positions.min(block_size);
    let mut windows = vec![Window { all: 0..first, scored: 0..first }];
    let mut done = first;
    while done < positions {
        let end = (done + stride).min(positions);
        windows.push(Window { all: end - block_size..end, scored: done..end });
        done = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_is_scored_once_with_its_context() {
        for (positions, block_size, stride) in
            [(100, 8, 4), (101, 8, 3), (9, 8, 8), (8, 8, 1), (50, 1, 1), (64, 16, 16)]
        {
            let windows = windows(positions, block_size, stride);
            let scored: Vec<usize> = windows.iter().flat_map(|window| window.scored.clone()).collect();
            assert_eq!(scored, (0..positions).collect::<Vec<_>>(), "{positions} {block_size} {stride}");
            for window in &windows[1..] {
                assert_eq!(window.all.len(), block_size);
                assert!(
                    window.scored.start - window.all.start >= block_size - stride
                        && window.all.end == window.scored.end
                );
            }
        }
    }

    #[test]
    fn a_short_split_is_one_window() {
        assert_eq!(windows(5, 8, 4), [Window { all: 0..5, scored: 0..5 }]);
    }

    #[test]
    fn the_last_window_is_moved_back() {
        let last = windows(10, 8, 4).pop();
        assert_eq!(last, Some(Window { all: 2..10, scored: 8..10 }));
    }
}
