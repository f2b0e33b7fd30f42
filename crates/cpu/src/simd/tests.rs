use super::*;

/// Applies a function of vectors to each value.
struct Apply<'a>(&'a mut Vec<f32>, Function);

#[derive(Clone, Copy)]
enum Function {
    Exp,
    Tanh,
    Sigmoid,
    HalfRoundTrip,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.0.chunks_mut(S::LANES) {
            let v = if x.len() == S::LANES { s.load(x) } else { s.load_partial(x) };
            let v = match self.1 {
                Function::Exp => exp(s, v),
                Function::Tanh => tanh(s, v),
                Function::Sigmoid => sigmoid(s, v),
                Function::HalfRoundTrip => {
                    let mut half = [0; 16];
                    s.store_f16(v, &mut half);
                    s.load_f16(&half)
                }
            };
            if x.len() == S::LANES { s.store(v, x) } else { s.store_partial(v, x) }
        }
    }
}

fn apply(isa: Isa, x: &[f32], function: Function) -> Vec<f32> {
    let mut y = x.to_vec();
    Level::new(isa).run(Apply(&mut y, function));
    y
}

fn assert_relative(function: Function, exact: fn(f64) -> f64, range: f32, tolerance: f64) {
    let x: Vec<f32> = (0..200_003).map(|i| (i as f32 / 100_001.5 - 1.0).powi(3) * range).collect();
    for isa in Isa::available() {
        for (&x, y) in x.iter().zip(apply(isa, &x, function)) {
            let expected = exact(f64::from(x));
            let error = (f64::from(y) - expected).abs() / expected.abs().max(1e-37);
            assert!(error <= tolerance, "{isa}: f({x}) = {y}, expected {expected}");
        }
    }
}

#[test]
fn functions_are_accurate() {
    assert_relative(Function::Exp, f64::exp, 85.0, 2e-7);
    assert_relative(Function::Tanh, f64::tanh, 20.0, 3e-7);
    assert_relative(Function::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 80.0, 3e-7);
}

#[test]
fn functions_at_the_limits() {
    let x = [f32::NEG_INFINITY, -1e30, -120.0, 0.0, 88.7, 90.0, f32::INFINITY, f32::NAN];
    for isa in Isa::available() {
        let y = apply(isa, &x, Function::Exp);
        assert_eq!(y[..4], [0.0, 0.0, 0.0, 1.0], "{isa}");
        assert!(y[4].is_finite() && y[5..7] == [f32::INFINITY; 2] && y[7].is_nan(), "{isa}: {y:?}");
        let y = apply(isa, &x, Function::Tanh);
        assert_eq!(y[..7], [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0], "{isa}");
        assert!(y[7].is_nan());
    }
}

#[test]
fn halves_round_to_nearest_even() {
    let x = [1.0 + 2f32.powi(-11), 1.0 + 3.0 * 2f32.powi(-11), 65519.0, 65520.0, -2f32.powi(-24)];
    let expected = [1.0, 1.0 + 2f32.powi(-9), 65504.0, f32::INFINITY, -2f32.powi(-24)];
    for isa in Isa::available() {
        assert_eq!(apply(isa, &x, Function::HalfRoundTrip), expected, "{isa}");
    }
}
