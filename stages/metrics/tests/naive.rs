//! Every column once more, written down from the definitions in the plainest way, and held against the stage on random
//! attention.

mod snapshots;

use schemas::enums::WindowKind;
use schemas::tables::{HeadMetrics, LayerMetrics, LayerSimilarity};
use schemas::{Artifacts, Table};
use snapshots::{Snapshots, node, run};

type Row = Vec<f64>;

/// One head's rows of one window.
fn renormalized(rows: &[Vec<f32>]) -> Vec<Row> {
    let mut result = Vec::new();
    for row in rows {
        let mut sum = 0.0;
        for weight in row {
            sum += *weight as f64;
        }
        result.push(row.iter().map(|weight| *weight as f64 / sum).collect());
    }
    result
}

fn entropy(row: &Row) -> f64 {
    let mut entropy = 0.0;
    for &weight in row {
        if weight > 0.0 {
            entropy -= weight * weight.ln();
        }
    }
    entropy
}

fn mean_row(rows: &[&Row]) -> Row {
    let mut mean = Vec::new();
    for key in 0..rows[0].len() {
        let mut sum = 0.0;
        for row in rows {
            sum += row[key];
        }
        mean.push(sum / rows.len() as f64);
    }
    mean
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn head(snapshots: &Snapshots, at: usize, layer: usize, head: usize) -> Vec<Option<f64>> {
    let mut columns = vec![Vec::new(); 9];
    let mut induction = Vec::new();
    for (window, attention) in snapshots.windows.iter().zip(&snapshots.attention[at]) {
        let a = renormalized(&attention[layer][head]);
        let x = &window.tokens;
        if window.kind == WindowKind::Repeat {
            let l = x.len() / 2;
            for i in l..2 * l {
                if l >= 2 {
                    induction.push(a[i][i - l + 1]);
                }
            }
            continue;
        }
        for i in 1..x.len() {
            let h = entropy(&a[i]);
            let (mut distance, mut local, mut duplicate) = (0.0, 0.0, 0.0);
            for j in 0..=i {
                distance += a[i][j] * (i - j) as f64;
                if i - j <= 2 {
                    local += a[i][j];
                }
                if j < i && x[j] == x[i] {
                    duplicate += a[i][j];
                }
            }
            let mut span = 0;
            let mut mass = a[i][i];
            while mass < 0.9 - 1e-9 {
                span += 1;
                mass += a[i][i - span];
            }
            let values =
                [h, h / ((i + 1) as f64).ln(), distance, span as f64, local, a[i][0], a[i][i], a[i][i - 1], duplicate];
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
    }
    let mut means: Vec<_> = columns.iter().map(|values| Some(mean(values))).collect();
    means.push(if induction.is_empty() { None } else { Some(mean(&induction)) });
    means
}

fn layer(snapshots: &Snapshots, at: usize, layer: usize) -> [f64; 3] {
    let (mut variances, mut divergences) = (Vec::new(), Vec::new());
    for (window, attention) in snapshots.windows.iter().zip(&snapshots.attention[at]) {
        let heads: Vec<_> = attention[layer].iter().map(|rows| renormalized(rows)).collect();
        for i in 1..window.tokens.len() {
            if window.kind == WindowKind::Repeat {
                continue;
            }
            let rows: Vec<&Row> = heads.iter().map(|head| &head[i]).collect();
            let p = mean_row(&rows);
            let mut variance = 0.0;
            for j in 0..=i {
                for row in &rows {
                    variance += (row[j] - p[j]).powi(2) / rows.len() as f64;
                }
            }
            variances.push(variance);
            let entropies: Vec<f64> = rows.iter().map(|row| entropy(row)).collect();
            divergences.push((entropy(&p) - mean(&entropies)) / 2f64.ln());
        }
    }
    let (mut largest, mut sum) = (0.0f64, 0.0);
    for row in &snapshots.head_outputs {
        if row.step == snapshots.steps[at] && row.layer == layer as u16 {
            largest = largest.max(row.output_norm);
            sum += row.output_norm;
        }
    }
    [mean(&variances), mean(&divergences), largest / sum]
}

fn pair(snapshots: &Snapshots, at: usize, a: usize, b: usize) -> [f64; 4] {
    let (mut divergences, mut cosines, mut centered) = (Vec::new(), Vec::new(), Vec::new());
    for (window, attention) in snapshots.windows.iter().zip(&snapshots.attention[at]) {
        if window.kind == WindowKind::Repeat {
            continue;
        }
        let mean_of_heads = |layer: usize, i: usize| {
            let heads: Vec<_> = attention[layer].iter().map(|rows| renormalized(rows)).collect();
            mean_row(&heads.iter().map(|head| &head[i]).collect::<Vec<_>>())
        };
        let mut flat = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for i in 1..window.tokens.len() {
            let (p, q) = (mean_of_heads(a, i), mean_of_heads(b, i));
            let mixture = mean_row(&[&p, &q]);
            divergences.push((entropy(&mixture) - (entropy(&p) + entropy(&q)) / 2.0) / 2f64.ln());
            for j in 0..=i {
                let uniform = 1.0 / (i + 1) as f64;
                flat[0].push(p[j]);
                flat[1].push(q[j]);
                flat[2].push(p[j] - uniform);
                flat[3].push(q[j] - uniform);
            }
        }
        cosines.push(cosine(&flat[0], &flat[1]));
        centered.push(cosine(&flat[2], &flat[3]));
    }
    [mean(&divergences), 1.0 - mean(&divergences), mean(&cosines), mean(&centered)]
}

fn cosine(p: &[f64], q: &[f64]) -> f64 {
    let dot = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
    dot(p, q) / (dot(p, p) * dot(q, q)).sqrt()
}

#[track_caller]
fn near(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

fn compare(snapshots: &Snapshots) {
    let folder = tempfile::tempdir().expect("a folder");
    snapshots.write(folder.path());
    run(folder.path(), &["--steps", "0,100", "--layer-similarity", "true"]).expect("a run");
    let artifacts = Artifacts::new(folder.path());

    let heads = artifacts.read::<HeadMetrics>(&node()).expect("head_metrics").rows;
    let val = snapshots.windows.iter().filter(|window| window.kind == WindowKind::Val);
    let queries: usize = val.map(|window| window.tokens.len() - 1).sum();
    let mut rows = heads.iter();
    for (at, &step) in snapshots.steps.iter().enumerate() {
        for l in 0..snapshots.layers {
            for h in 0..snapshots.heads {
                let row = rows.next().expect("a row for each head");
                assert_eq!((row.step, row.layer, row.head), (step, l as u16, h as u16));
                assert_eq!(row.queries, queries as u64);
                let found = [
                    Some(row.entropy_nats),
                    Some(row.normalized_entropy),
                    Some(row.mean_distance),
                    Some(row.span_90),
                    Some(row.local_mass_3),
                    Some(row.first_token_mass),
                    Some(row.self_mass),
                    Some(row.previous_token_score),
                    Some(row.duplicate_token_score),
                    row.induction_score,
                ];
                let expected = head(snapshots, at, l, h);
                for (column, (found, expected)) in
                    HeadMetrics::columns()[3..].iter().zip(found.into_iter().zip(expected))
                {
                    match (found, expected) {
                        (Some(found), Some(expected)) => near(column.name, found, expected),
                        (found, expected) => assert_eq!(found, expected, "{}", column.name),
                    }
                }
            }
        }
    }
    assert_eq!(rows.next(), None);

    let layers = artifacts.read::<LayerMetrics>(&node()).expect("layer_metrics").rows;
    let mut rows = layers.iter();
    for (at, &step) in snapshots.steps.iter().enumerate() {
        for l in 0..snapshots.layers {
            let row = rows.next().expect("a row for each layer");
            assert_eq!((row.step, row.layer), (step, l as u16));
            let [variance, divergence, share] = layer(snapshots, at, l);
            near("head_variance", row.head_variance, variance);
            near("head_js_divergence", row.head_js_divergence, divergence);
            near("dominant_head_share", row.dominant_head_share, share);
        }
    }
    assert_eq!(rows.next(), None);

    let pairs = artifacts.read::<LayerSimilarity>(&node()).expect("layer_similarity").rows;
    let mut rows = pairs.iter();
    for (at, &step) in snapshots.steps.iter().enumerate() {
        for a in 0..snapshots.layers {
            for b in a + 1..snapshots.layers {
                let row = rows.next().expect("a row for each pair");
                assert_eq!((row.step, row.layer_a, row.layer_b), (step, a as u16, b as u16));
                let [divergence, similarity, cosine, centered] = pair(snapshots, at, a, b);
                near("js_divergence", row.js_divergence, divergence);
                near("js_similarity", row.js_similarity, similarity);
                near("cosine_similarity", row.cosine_similarity, cosine);
                near("centered_cosine_similarity", row.centered_cosine_similarity, centered);
            }
        }
    }
    assert_eq!(rows.next(), None);
}

#[test]
fn many_heads_and_layers() {
    compare(&Snapshots::random(3, 4, 24, 3, 12, 2));
}

#[test]
fn a_block_as_small_as_the_alphabet_in_an_odd_window() {
    compare(&Snapshots::random(2, 3, 33, 2, 5, 3));
}

#[test]
fn one_head_in_one_layer() {
    compare(&Snapshots::random(1, 1, 19, 2, 9, 1));
}

#[test]
fn windows_of_two_characters() {
    compare(&Snapshots::random(2, 2, 2, 3, 1, 2));
}

#[test]
fn no_repeat_windows() {
    compare(&Snapshots::random(2, 2, 9, 2, 4, 0));
}
