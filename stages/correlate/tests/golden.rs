//! Every statistic against SciPy, NumPy, statsmodels, scikit-learn and pingouin (`python/statistics_golden.py`).

use correlate::association::{Paired, associate};
use correlate::fit::{change_point, parabola, slope, two_levels};
use correlate::interval::Estimate;
use correlate::multiple_testing::{benjamini_hochberg, holm};
use correlate::partial::Partial;
use correlate::permutation::sample_p_value;
use correlate::rank::{ranks, snapped, unit_ranks};
use random_streams::stream;
use serde::Deserialize;
use serde_json::{Value, json};

/// Whichever is larger: both compute in float64, in another order.
const ABSOLUTE: f64 = 1e-13;
const RELATIVE: f64 = 1e-10;
/// The number of arrangements behind the golden p-values.
const DRAWS: u32 = 50_000;

fn golden(kind: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/statistics.json")).expect("a golden file");
    read(&golden[kind])
}

fn read<'golden, T: Deserialize<'golden>>(value: &'golden Value) -> T {
    T::deserialize(value).expect("what the golden file holds")
}

/// The expected numbers; undefined ones are null.
fn near(what: &Value, found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{what}");
            found.iter().zip(expected).for_each(|(found, expected)| near(what, found, expected));
        }
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().for_each(|(name, expected)| near(&json!([what, name]), &found[name], expected));
        }
        (Value::Number(_), Value::Number(_)) => {
            let (found, expected) = (read::<f64>(found), read::<f64>(expected));
            let allowed = ABSOLUTE.max(RELATIVE * expected.abs());
            assert!((found - expected).abs() <= allowed, "{what}: {found} is not {expected}");
        }
        _ => assert_eq!(found, expected, "{what}"),
    }
}

/// An estimate in the golden file's form.
fn written(estimate: Estimate, p_value: impl FnOnce() -> f64) -> Value {
    let t_test = estimate.p_value(0.0);
    let Estimate { mean, .. } = estimate;
    json!({"mean": mean, "low": estimate.low(), "high": estimate.high(), "t_test": t_test, "p_value": p_value()})
}

#[test]
fn correlations_are_scipys() {
    for study in golden("studies") {
        let (x, y): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (read(&study["x"]), read(&study["y"]));
        let pairs: Vec<_> =
            (0..).zip(&x).zip(&y).map(|((seed, x), y)| Paired { seed, x: x.clone(), y: y.clone() }).collect();
        let raw = associate(&pairs);
        let unit = |seed: &usize| (unit_ranks(&snapped(&x[*seed])), unit_ranks(&snapped(&y[*seed])));
        let units: Vec<_> = raw.used.iter().map(unit).collect();
        let found = json!({
            "ranks": x.iter().map(|seed| ranks(&snapped(seed))).collect::<Vec<_>>(),
            "n": raw.n,
            "pearson": raw.pearson,
            "raw": raw.spearman.map(|estimate| written(estimate, || sample_p_value(&units, DRAWS, stream("test", &[])))),
        });
        for statistic in ["ranks", "n", "pearson", "raw"] {
            near(&json!([study["name"], statistic]), &found[statistic], &study[statistic]);
        }
    }
}

#[test]
fn partial_correlations_are_of_what_a_regression_leaves() {
    for study in golden("studies") {
        let (x, y): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (read(&study["x"]), read(&study["y"]));
        if x.len() < 2 || x.iter().any(|seed| seed.len() != x[0].len()) {
            continue;
        }
        let partial = Partial::of(&x, &y).ok();
        let partial = partial.map(|it| written(it.estimate(), || it.p_value(DRAWS, stream("test", &[]))));
        near(&study["name"], &json!(partial), &study["partial"]);
    }
}

#[test]
fn means_tests_and_adjusted_p_values_are_those_of_statsmodels() {
    for mean in golden("means") {
        let estimate = Estimate::over(&read::<Vec<f64>>(&mean["values"])).expect("values");
        near(&json!("mean"), &json!([estimate.mean, estimate.low(), estimate.high()]), &mean["mean_low_high"]);
        near(&json!("t_test"), &json!(estimate.p_value(0.0)), &mean["t_test"]);
    }
    for family in golden("families") {
        // Null p-values do not count.
        let p_values: Vec<_> =
            read::<Vec<f64>>(&family["p_values"]).into_iter().flat_map(|p| [None, Some(p)]).collect();
        for (name, adjust) in [("q_values", benjamini_hochberg as fn(&[_]) -> Vec<_>), ("holm", holm)] {
            let found: Vec<_> = adjust(&p_values).into_iter().flatten().collect();
            near(&json!(name), &json!(found), &family[name]);
        }
    }
}

#[test]
fn fits_are_those_of_the_libraries() {
    for (number, fit) in golden("fits").iter().enumerate() {
        let (x, y): (Vec<f64>, Vec<f64>) = (read(&fit["x"]), read(&fit["y"]));
        let points: Vec<_> = x.into_iter().zip(y).collect();
        let curve = parabola(&points).map(|it| json!({"curvature": it.curvature, "vertex": it.vertex}));
        near(&json!(["fits", number]), &json!([slope(&points), curve]), &json!([fit["slope"], fit["parabola"]]));
    }
    for (number, series) in golden("levels").iter().enumerate() {
        let (values, weights): (Vec<f64>, Vec<f64>) = (read(&series["values"]), read(&series["weights"]));
        let levels = two_levels(&values, &weights);
        let written =
            levels.map(|it| json!({"at": it.at, "before": it.before, "after": it.after, "explained": it.explained}));
        near(&json!(["levels", number]), &json!(written), &series["levels"]);
        if weights.iter().all(|weight| *weight == 1.0) {
            let steps: Vec<_> = (0..).zip(values).collect();
            assert_eq!(change_point(&steps).map(|step| step as usize), levels.map(|levels| levels.at));
        }
    }
}
