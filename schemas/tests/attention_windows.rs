//! Attention by the window: the columnar way in and out agrees with the rows, and what is not one whole window is refused.

use proptest::prelude::*;
use schemas::attention::{Window, triangle};
use schemas::tables::Attention;
use schemas::{Artifacts, Partition, Provenance};
use tempfile::TempDir;

fn node() -> Partition {
    Partition::dataset("text8").run("run_1").seed(1).step(100)
}

fn study() -> (TempDir, Artifacts) {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    (folder, artifacts)
}

/// A window whose every weight is another number.
fn window(number: u16, layers: usize, heads: usize, queries: usize) -> Window {
    let weights = (0..layers * heads * triangle(queries)).map(|index| index as f32 + f32::from(number) / 8.0).collect();
    Window { window: number, layers, heads, queries, weights }
}

/// The same as rows.
fn rows(window: &Window) -> Vec<Attention> {
    let mut rows = Vec::new();
    for layer in 0..window.layers {
        for head in 0..window.heads {
            let weights = window.head(layer, head);
            rows.extend((0..window.queries).map(|query| Attention {
                window: window.window,
                layer: layer as u16,
                head: head as u16,
                query: query as u16,
                weights: weights[triangle(query)..][..=query].to_vec(),
            }));
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_come_back(shapes in prop::collection::vec((1usize..4, 1usize..4, 1usize..9), 1..4)) {
        let (_folder, artifacts) = study();
        let windows: Vec<_> = shapes
            .into_iter()
            .enumerate()
            .map(|(number, (layers, heads, queries))| window(number as u16, layers, heads, queries))
            .collect();
        let mut writer = artifacts.create::<Attention>(&node(), &Provenance::default()).unwrap();
        for window in &windows {
            writer.write_window(window.clone()).unwrap();
        }
        writer.finish().unwrap();

        let reader = artifacts.open::<Attention>(&node()).unwrap();
        prop_assert_eq!(reader.groups(), windows.len());
        for (group, window) in windows.iter().enumerate() {
            prop_assert_eq!(&reader.window(group).unwrap(), window);
            prop_assert_eq!(reader.group(group).unwrap(), rows(window));
        }
    }
}

#[test]
fn a_window_of_several_pages_comes_back() {
    let (_folder, artifacts) = study();
    let whole = window(0, 3, 4, 300);
    let mut writer = artifacts.create::<Attention>(&node(), &Provenance::default()).unwrap();
    writer.write_window(whole.clone()).unwrap();
    writer.finish().unwrap();
    // A page is a megabyte at most.
    assert!(whole.weights.len() * size_of::<f32>() > 2 << 20);
    let reader = artifacts.open::<Attention>(&node()).unwrap();
    assert_eq!(reader.window(0).unwrap(), whole);
    assert_eq!(reader.group(0).unwrap(), rows(&whole));
}

#[test]
fn threads_read_windows_side_by_side() {
    let (_folder, artifacts) = study();
    let windows: Vec<_> = (0..16).map(|number| window(number, 2, 2, 40)).collect();
    let mut writer = artifacts.create::<Attention>(&node(), &Provenance::default()).unwrap();
    windows.iter().for_each(|window| writer.write_window(window.clone()).unwrap());
    writer.finish().unwrap();
    let reader = artifacts.open::<Attention>(&node()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (reader, windows) = (&reader, &windows);
            scope.spawn(move || {
                for turn in 0..64 {
                    let group = (turn * (thread + 1)) % windows.len();
                    assert_eq!(&reader.window(group).unwrap(), &windows[group]);
                }
            });
        }
    });
}

#[test]
fn rows_that_are_not_one_whole_sorted_window_are_refused() {
    let whole = rows(&window(3, 2, 2, 4));
    let change = |change: &dyn Fn(&mut Vec<Attention>)| {
        let mut rows = whole.clone();
        change(&mut rows);
        let (_folder, artifacts) = study();
        artifacts.write(&node(), &Provenance::default(), &rows).unwrap();
        let reader = artifacts.open::<Attention>(&node()).unwrap();
        reader.window(0).map_err(|error| error.to_string().replace(&reader.path().display().to_string(), "FILE"))
    };
    assert_eq!(change(&|_| {}), Ok(window(3, 2, 2, 4)));
    let refused =
        Err("FILE is damaged (row group 0 is not one whole window sorted by layer, head and query): restore it \
                       from a copy, or move it away and rerun `snapshot`"
            .to_owned());
    assert_eq!(change(&|rows| rows.swap(0, 1)), refused, "queries out of order");
    assert_eq!(change(&|rows| rows.rotate_left(4)), refused, "heads out of order");
    assert_eq!(change(&|rows| rows.rotate_left(8)), refused, "layers out of order");
    assert_eq!(change(&|rows| drop(rows.pop())), refused, "the last row missing");
    assert_eq!(change(&|rows| drop(rows.remove(0))), refused, "the first row missing");
    assert_eq!(change(&|rows| rows.push(rows[0].clone())), refused, "a row twice");
    assert_eq!(change(&|rows| rows[5].window = 4), refused, "another window's row");
    assert_eq!(change(&|rows| rows[5].weights.truncate(1)), refused, "a row too short");
    assert_eq!(change(&|rows| rows[5].weights.push(0.0)), refused, "a row too long");
}

#[test]
#[should_panic(expected = "fill its triangles")]
fn a_window_with_gaps_is_a_bug_of_the_caller() {
    let (_folder, artifacts) = study();
    let mut window = window(0, 1, 1, 3);
    window.weights = window.weights[1..].to_vec().into();
    let _ = artifacts.create::<Attention>(&node(), &Provenance::default()).unwrap().write_window(window);
}
