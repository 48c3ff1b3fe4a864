//! Each operation and its backward pass against the definition in float64, with the same dropout masks.

use burn::backend::flex::FlexTensor;
use random_streams::{Distribution, StandardNormal};

use super::kernels::Mask;
use super::matrix::Matrix;
use super::product::Product;
use super::storage::{shape, tensor, values};
use super::{adamw, attention, linear, pointwise};
use crate::Precision;
use crate::ops::arguments::{Dropout, Heads, LAYER_NORM_EPSILON, Update};

const DROPPED: Dropout = Dropout { rate: 0.3, seed: 0x0123_4567_89AB_CDEF };

fn draw(purpose: &str, rows: usize, columns: usize) -> FlexTensor {
    let mut stream = random_streams::stream(purpose, &[]);
    let values = (0..rows * columns).map(|_| {
        let value: f64 = StandardNormal.sample(&mut stream);
        value as f32
    });
    tensor(values.collect(), [rows, columns])
}

fn assert_close(what: &str, ours: &[f32], reference: &[f64]) {
    assert_eq!(ours.len(), reference.len(), "{what}");
    let size = reference.iter().fold(1.0, |size: f64, value| size.max(value.abs()));
    for (at, (ours, reference)) in ours.iter().zip(reference).enumerate() {
        let difference = (f64::from(*ours) - reference).abs();
        assert!(difference <= 3e-6 * size, "{what} at {at}: {ours} is not {reference}");
    }
}

/// Attention's weights before dropout, its output and the gradient of `Σ output·gradient`, by the definition.
fn attention_by_definition(
    qkv: &[f32],
    gradient: &[f32],
    heads: Heads,
    width: usize,
    dropout: Dropout,
) -> [Vec<f64>; 3] {
    let (embd, time) = (width / 3, qkv.len() / width / heads.batch);
    let size = embd / heads.heads;
    let (mut out, mut of_qkv) = (vec![0.0; heads.batch * time * embd], vec![0.0; qkv.len()]);
    let mut all_weights = vec![0.0; heads.batch * heads.heads * time * time];
    for task in 0..heads.batch * heads.heads {
        let (sequence, head) = (task / heads.heads, task % heads.heads);
        let at = |part: usize, row: usize, column: usize| {
            (sequence * time + row) * width + part * embd + head * size + column
        };
        let out_at = |row: usize, column: usize| (sequence * time + row) * embd + head * size + column;
        let x = |part, row, column| f64::from(qkv[at(part, row, column)]);
        for query in 0..time {
            let scaling = 1.0 / (size as f64).sqrt();
            let score = |key| (0..size).map(|column| x(0, query, column) * x(1, key, column)).sum::<f64>() * scaling;
            let exponentials: Vec<f64> = (0..=query).map(|key| score(key).exp()).collect();
            let total: f64 = exponentials.iter().sum();
            let mask = Mask::new(dropout, (task * time + query) as u64);
            let mask: Vec<f64> = (0..=query).map(|key| f64::from(mask.at(key))).collect();
            let weights: Vec<f64> = exponentials.iter().map(|exponential| exponential / total).collect();
            all_weights[(task * time + query) * time..][..=query].copy_from_slice(&weights);
            let of_output = |column| f64::from(gradient[out_at(query, column)]);
            let of_weight: Vec<f64> = (0..=query)
                .map(|key| mask[key] * (0..size).map(|column| of_output(column) * x(2, key, column)).sum::<f64>())
                .collect();
            let mean: f64 = weights.iter().zip(&of_weight).map(|(weight, gradient)| weight * gradient).sum();
            for key in 0..=query {
                let of_score = weights[key] * (of_weight[key] - mean) * scaling;
                for column in 0..size {
                    out[out_at(query, column)] += weights[key] * mask[key] * x(2, key, column);
                    of_qkv[at(0, query, column)] += of_score * x(1, key, column);
                    of_qkv[at(1, key, column)] += of_score * x(0, query, column);
                    of_qkv[at(2, key, column)] += weights[key] * mask[key] * of_output(column);
                }
            }
        }
    }
    [all_weights, out, of_qkv]
}

#[test]
fn attention_is_its_definition() {
    // One query, fewer than a block, a block, more than one and not a multiple; odd head sizes.
    for (batch, heads, size, time) in [(2, 1, 1, 1), (1, 2, 5, 7), (2, 2, 8, 64), (1, 3, 16, 131)] {
        for dropout in [Dropout::OFF, DROPPED] {
            let heads = Heads { batch, heads };
            let width = 3 * heads.heads * size;
            let qkv = draw("queries, keys, values", batch * time, width);
            let gradient = draw("gradient", batch * time, width / 3);
            let [weights, out, of_qkv] =
                attention_by_definition(values(&qkv), values(&gradient), heads, width, dropout);
            let (ours, log_sums) = attention::forward(&qkv, heads, dropout);
            assert_close("attention", values(&ours), &out);
            if dropout.rate == 0.0 {
                let (observed, attended) = attention::observe(&qkv, heads);
                assert_close("observed weights", values(&observed), &weights);
                assert_eq!(values(&attended), values(&ours), "observing changes nothing");
            }
            let forward = attention::Forward { qkv: &qkv, output: &ours, log_sums: &log_sums, heads, dropout };
            let ours = attention::backward(forward, &gradient);
            assert_close("gradient of attention", values(&ours), &of_qkv);
        }
    }
}

/// A diverged model must not appear to attend uniformly.
#[test]
fn attention_of_a_query_that_is_not_finite_is_not_a_number() {
    let heads = Heads { batch: 1, heads: 1 };
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut qkv = vec![1.0; 20 * 24];
        qkv[5 * 24] = wrong;
        let (weights, attended) = attention::observe(&tensor(qkv, [20, 24]), heads);
        let query = |query: usize| &values(&weights)[query * 20..][..=query];
        assert!(query(4).iter().all(|weight| weight.is_finite()), "queries before it are unaffected");
        assert!(query(5).iter().all(|weight| weight.is_nan()), "{wrong}: {:?}", query(5));
        assert!(values(&attended)[5 * 8..6 * 8].iter().all(|value| value.is_nan()));
    }
}

/// Longer ones than `gemm` leaves whole on every processor.
#[test]
fn long_sums_are_split_alike_everywhere() {
    let (rows, columns) = (3, 5);
    let compute = |a: Matrix, b: Matrix, c: &mut [f32], accumulate: bool| {
        let product = Product { a, b, alpha: 0.5, accumulate, threads: gemm::Parallelism::None };
        // SAFETY: `c` is exclusive and has all rows.
        unsafe { product.compute(c.as_mut_ptr(), columns) };
    };
    for inner in [1, 511, 512, 513, 1537] {
        let (a, b) = (draw("left", rows, inner), draw("right", inner, columns));
        let (a, b) = (Matrix::of_rows(values(&a), inner), Matrix::of_rows(values(&b), columns));
        let (mut whole, mut by_part) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        compute(a, b, &mut whole, false);
        let part = inner.div_ceil(inner.div_ceil(512));
        for first in (0..inner).step_by(part) {
            let count = part.min(inner - first);
            compute(a.columns_from(first, count), b.rows_from(first, count), &mut by_part, first > 0);
        }
        assert_eq!(whole, by_part, "{inner}");
        let definition = |at: usize| {
            let (row, column) = (at / columns, at % columns);
            let product =
                |k: usize| f64::from(a.values()[row * inner + k]) * f64::from(b.values()[k * columns + column]);
            0.5 * (0..inner).map(product).sum::<f64>()
        };
        assert_close("a long sum", &whole, &(0..rows * columns).map(definition).collect::<Vec<_>>());
    }
}

/// Columns that belong to no head would be memory that nobody has written.
#[test]
#[should_panic(expected = "30 columns are queries, keys and values of 3 equal heads")]
fn heads_must_divide_the_columns() {
    attention::forward(&draw("queries, keys, values", 4, 30), Heads { batch: 1, heads: 3 }, Dropout::OFF);
}

#[test]
#[should_panic(expected = "the residual stream has the shape of what is added to it")]
fn a_residual_must_not_be_shorter() {
    pointwise::dropout_add(&draw("x", 4, 30), &draw("residual", 3, 30), Dropout::OFF);
}

#[test]
#[should_panic(expected = "a layer norm's weight has a value per column")]
fn a_layer_norm_must_cover_whole_rows() {
    let weight = tensor(vec![1.0; 7], [7]);
    pointwise::layer_norm(&draw("x", 4, 30), &weight);
}

#[test]
#[should_panic(expected = "a weight takes as many inputs as there are")]
fn a_weight_must_fit_its_input() {
    linear::linear(&draw("x", 200, 30), &draw("weight", 5, 31), Precision::Float32);
}

#[test]
fn linear_layers_are_their_definition() {
    // One of everything, few rows and many, and sizes at, below and above what tiles and their panels and blocks hold.
    let sizes = [(1, 1, 1), (7, 5, 3), (10, 35, 70), (130, 48, 65), (32, 32, 32), (24, 40, 16), (97, 1100, 131)];
    for (rows, inputs, outputs) in sizes.into_iter().chain([(3, 700, 1100), (700, 1100, 3)]) {
        let (x, weight) = (draw("x", rows, inputs), draw("weight", outputs, inputs));
        let gradient = draw("gradient", rows, outputs);
        for precision in [Precision::Float32, Precision::Bf16, Precision::Int16] {
            // A matrix as vectors along the inner dimension, which are its rows or its columns.
            let rows_of =
                |matrix: &FlexTensor, width: usize| values(matrix).chunks(width).map(<[f32]>::to_vec).collect();
            let columns_of = |matrix: &FlexTensor, width: usize| {
                (0..width).map(|column| values(matrix).iter().skip(column).step_by(width).copied().collect()).collect()
            };
            let product = |left: Vec<Vec<f32>>, right: Vec<Vec<f32>>| {
                let rounded = |vectors: Vec<Vec<f32>>| {
                    vectors.iter().map(|vector| rounded(vector, precision)).collect::<Vec<_>>()
                };
                let (left, right) = (rounded(left), rounded(right));
                let cells = left.iter().flat_map(|row| right.iter().map(move |column| row.iter().zip(column)));
                cells.map(|cell| cell.map(|(left, right)| left * right).sum()).collect::<Vec<f64>>()
            };
            let definition = product(rows_of(&x, inputs), rows_of(&weight, inputs));
            assert_close("linear", values(&linear::linear(&x, &weight, precision)), &definition);
            let definition = product(rows_of(&gradient, outputs), columns_of(&weight, inputs));
            let ours = linear::linear_backward_input(&gradient, &weight, precision);
            assert_close("its input's gradient", values(&ours), &definition);
            let definition = product(columns_of(&gradient, outputs), columns_of(&x, inputs));
            let ours = linear::linear_backward_weight(&gradient, &x, precision);
            assert_close("its weight's gradient", values(&ours), &definition);
        }
    }
}

/// What a product multiplies in place of a vector along the inner dimension.
fn rounded(vector: &[f32], precision: Precision) -> Vec<f64> {
    let block = |block: &[f32]| {
        let largest = block.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        // What the nearest integer is, is decided in float32.
        let integer = |value: &f32| (value * (4095.0 / largest)).round_ties_even();
        block.iter().map(|value| f64::from(integer(value)) * f64::from(largest) / 4095.0).collect::<Vec<f64>>()
    };
    match precision {
        Precision::Float32 => vector.iter().copied().map(f64::from).collect(),
        Precision::Bf16 => vector.iter().copied().map(nearest_bf16).map(f64::from).collect(),
        Precision::Int16 => vector.chunks(128).flat_map(block).collect(),
    }
}

#[test]
fn integer_sums_do_not_overflow_and_subnormal_values_become_zero() {
    let x: Vec<f32> = [1.0, -1.0, 0.0, 1e-38].into_iter().flat_map(|value| [value; 300]).collect();
    let x = tensor(x, [4, 300]);
    let ones = tensor(vec![1.0; 300], [1, 300]);
    let sums = linear::linear(&x, &ones, Precision::Int16);
    assert_close("sums", &values(&sums)[..2], &[300.0, -300.0]);
    assert_eq!(values(&sums)[2..], [0.0; 2]);
}

#[test]
fn a_value_that_is_not_finite_affects_its_own_row_of_an_int16_product() {
    let (rows, inputs, outputs) = (4, 200, 5);
    let linear = |x: &FlexTensor, weight: &FlexTensor| linear::linear(x, weight, Precision::Int16);
    let of_weight = |g: &FlexTensor, x: &FlexTensor| linear::linear_backward_weight(g, x, Precision::Int16);
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let poisoned = |matrix: FlexTensor, at: usize| {
            let mut values = values(&matrix).to_vec();
            values[at] = poison;
            tensor(values, shape::<2>(&matrix))
        };
        let finite = |sums: FlexTensor| values(&sums).iter().map(|sum| sum.is_finite()).collect::<Vec<bool>>();
        let expected = |rows: usize, columns: usize, affected: &dyn Fn(usize, usize) -> bool| {
            (0..rows * columns).map(|cell| !affected(cell / columns, cell % columns)).collect::<Vec<bool>>()
        };
        let (x, weight, gradient) =
            (draw("x", rows, inputs), draw("weight", outputs, inputs), draw("gradient", rows, outputs));
        let found = finite(linear(&poisoned(x.clone(), 2 * inputs + 150), &weight));
        assert_eq!(found, expected(rows, outputs, &|row, _| row == 2), "{poison} in the input");
        let found = finite(linear(&x, &poisoned(weight, 3 * inputs + 7)));
        assert_eq!(found, expected(rows, outputs, &|_, column| column == 3), "{poison} in the weight");
        let found = finite(of_weight(&poisoned(gradient.clone(), outputs + 4), &x));
        assert_eq!(found, expected(outputs, inputs, &|row, _| row == 4), "{poison} in the gradient");
        let found = finite(of_weight(&gradient, &poisoned(x, 3 * inputs + 150)));
        assert_eq!(found, expected(outputs, inputs, &|_, column| column == 150), "{poison} in the input, backward");
    }
}

/// The bfloat16 that is nearest, the even one of two: eight bits of the mantissa.
fn nearest_bf16(value: f32) -> f32 {
    if value == 0.0 {
        return value;
    }
    let unit = 2f64.powi(value.abs().log2().floor() as i32 - 7);
    ((f64::from(value) / unit).round_ties_even() * unit) as f32
}

#[test]
fn the_roundings_of_every_processor_are_the_same() {
    // Ties to both sides, what rounds up to the next power of two, and both signs.
    let half = 1.0 / 256.0;
    let mut values = vec![1.0, 1.0 + half, 1.0 + 3.0 * half, 1.999, -1.0 - half, 255.99, 3e38, 1e-30, 0.0];
    values.extend_from_slice(self::values(&draw("rounded", 1, 503)));
    let x = tensor(values.clone(), [1, values.len()]);
    let identity: Vec<f32> =
        (0..values.len().pow(2)).map(|at| f32::from(at / values.len() == at % values.len())).collect();
    let identity = tensor(identity, [values.len(); 2]);
    let expected: Vec<f32> = values.iter().copied().map(nearest_bf16).collect();
    assert_eq!(self::values(&linear::linear(&x, &identity, Precision::Bf16)), expected);
    let mut portable = vec![std::mem::MaybeUninit::uninit(); values.len()];
    super::kernels::round_to_bf16(&values, &mut portable);
    // SAFETY: all of them have been written.
    let portable: Vec<f32> = portable.iter().map(|value| unsafe { value.assume_init() }).collect();
    assert_eq!(portable, expected);
}

#[test]
fn gelu_is_its_definition() {
    let x = draw("x", 37, 41);
    let gradient = draw("gradient", 37, 41);
    // Φ by its series and its derivative by differences of that: nothing of the kernel's own.
    let cdf = |x: f64| {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
    };
    let gelu = |x: f64| x * cdf(x);
    let definition: Vec<f64> = values(&x).iter().map(|&x| gelu(f64::from(x))).collect();
    assert_close("gelu", values(&pointwise::gelu(&x)), &definition);
    let slope = |x: f64| (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
    let definition: Vec<f64> =
        values(&x).iter().zip(values(&gradient)).map(|(&x, &g)| f64::from(g) * slope(f64::from(x))).collect();
    assert_close("gradient of gelu", values(&pointwise::gelu_backward(&x, gradient.clone())), &definition);
}

#[test]
fn layer_norm_is_its_definition() {
    for (rows, width) in [(1, 1), (3, 5), (130, 48)] {
        let (x, gradient, weight) = (draw("x", rows, width), draw("gradient", rows, width), draw("weight", 1, width));
        let weight = tensor(values(&weight).to_vec(), [width]);
        let (out, moments) = pointwise::layer_norm(&x, &weight);
        let (of_x, of_weight) = pointwise::layer_norm_backward(&x, &weight, gradient.clone(), &moments);
        let (mut all, mut of_all, mut of_scale) = (Vec::new(), Vec::new(), vec![0.0; width]);
        for (x, gradient) in values(&x).chunks(width).zip(values(&gradient).chunks(width)) {
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
            let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width as f64;
            let deviation = (variance + LAYER_NORM_EPSILON).sqrt();
            let normed: Vec<f64> = x.iter().map(|&x| (f64::from(x) - mean) / deviation).collect();
            let scaled: Vec<f64> =
                gradient.iter().zip(values(&weight)).map(|(&g, &w)| f64::from(g) * f64::from(w)).collect();
            let level = scaled.iter().sum::<f64>() / width as f64;
            let slope = scaled.iter().zip(&normed).map(|(g, n)| g * n).sum::<f64>() / width as f64;
            for at in 0..width {
                all.push(normed[at] * f64::from(values(&weight)[at]));
                of_all.push((scaled[at] - level - normed[at] * slope) / deviation);
                of_scale[at] += f64::from(gradient[at]) * normed[at];
            }
        }
        assert_close("layer norm", values(&out), &all);
        assert_close("gradient of layer norm", values(&of_x), &of_all);
        assert_close("gradient of the weight", values(&of_weight), &of_scale);
    }
}

#[test]
fn dropout_drops_its_share_and_backward_drops_the_same() {
    let (rows, columns) = (300, 1000);
    let ones = tensor(vec![1.0; rows * columns], [rows, columns]);
    let zeros = tensor(vec![0.0; rows * columns], [rows, columns]);
    let forward = pointwise::dropout_add(&ones, &zeros, DROPPED);
    assert_eq!(values(&forward), values(&pointwise::dropout(&ones, DROPPED)));
    let kept = values(&forward).iter().filter(|&&value| value > 0.0).count() as f64 / (rows * columns) as f64;
    assert!((kept - 0.7).abs() < 0.005, "five standard errors of 0.7: {kept}");
    assert!(values(&forward).iter().all(|&value| value == 0.0 || (value - 1.0 / 0.7).abs() < 1e-6));
    let other = pointwise::dropout_add(&ones, &zeros, Dropout { seed: 1, ..DROPPED });
    let same = values(&forward).iter().zip(values(&other)).filter(|(one, other)| one == other).count();
    let same = same as f64 / (rows * columns) as f64;
    assert!((same - 0.58).abs() < 0.005, "two independent masks agree in 0.7² + 0.3²: {same}");
    let chunks: Vec<_> = values(&forward).chunks(1 << 14).collect();
    assert_ne!(chunks[0], chunks[1], "every chunk has a mask of its own");
    assert_eq!(values(&pointwise::dropout_add(&ones, &zeros, Dropout::OFF)), values(&ones));
}

#[test]
fn adamw_is_its_definition() {
    let update = Update { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, clip: 0.5, keep: 0.999, step: 0.02, root_scale: 1.7 };
    let [parameter, gradient, first] = ["p", "g", "m"].map(|purpose| draw(purpose, 1, 20_000));
    let second = tensor(values(&draw("v", 1, 20_000)).iter().map(|v| v * v).collect(), [1, 20_000]);
    let (ours, moments) = adamw::update(parameter.clone(), &gradient, [first.clone(), second.clone()], update);
    let wide = |tensor: &FlexTensor| values(tensor).iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let squares: f64 = wide(&gradient).iter().map(|g| g * g).sum();
    assert!((adamw::square_sum(&gradient) / squares - 1.0).abs() < 1e-6);
    let (parameter, first, second) = (wide(&parameter), wide(&first), wide(&second));
    let gradient: Vec<f64> = wide(&gradient).iter().map(|g| 0.5 * g).collect();
    let first: Vec<f64> = first.iter().zip(&gradient).map(|(m, g)| 0.9 * m + 0.1 * g).collect();
    let second: Vec<f64> = second.iter().zip(&gradient).map(|(v, g)| 0.99 * v + 0.01 * g * g).collect();
    let updated: Vec<f64> = (0..parameter.len())
        .map(|at| 0.999 * parameter[at] - 0.02 * first[at] / (1.7 * second[at].sqrt() + 1e-8))
        .collect();
    assert_close("parameter", values(&ours), &updated);
    assert_close("first moment", values(&moments[0]), &first);
    assert_close("second moment", values(&moments[1]), &second);
}
