//! Gradients against finite differences, for each operation alone and for whole networks.
//!
//! ReLU has a kink at 0, where a finite difference does not approximate the gradient. So these tests keep every unit
//! well above or well below 0 for all inputs. A test against candle's own operations covers mixtures of both.

use continuo_model::config::NORM_EPSILON;

use super::*;
use crate::affine::affine;
use crate::conv_norm::conv_norm_relu;

/// Each test runs with this many rng seeds, so that it does not pass by chance.
const RNG_SEEDS: u64 = 16;

/// How far a tensor moves along a direction with entries from -1 to 1. The step is large because 32-bit floats are
/// noisy.
const STEP: f64 = 1.5e-2;

/// Compares `slope`, the derivative along a direction by backpropagation, with central differences of `at(offset)`
/// around 0. Two step sizes together cancel the third-order term (Richardson extrapolation).
fn check_slope(what: &str, slope: f64, at: impl Fn(f64) -> f64) {
    let difference = |step: f64| (at(step) - at(-step)) / (2.0 * step);
    let measured = (4.0 * difference(STEP) - difference(2.0 * STEP)) / 3.0;
    let error = (measured - slope).abs();
    assert!(error < 0.02 * measured.abs() + 1e-3, "{what}: {slope} by backpropagation, {measured} by differences");
}

/// The derivative along a direction. With a random direction, one number checks every entry of the tensor.
fn slope_along(grad: &Tensor, direction: &Tensor) -> f64 {
    sum(&(grad * direction).unwrap())
}

/// The sum in f64: there are many terms, and differences of sums are small.
fn sum(tensor: &Tensor) -> f64 {
    values(tensor).iter().map(|x| f64::from(*x)).sum()
}

/// Checks the gradient of a random weighted sum of `run`'s output with respect to each of its inputs.
fn check_operation(what: &str, rng: &mut SplitMix64, inputs: &[Tensor], run: impl Fn(&[&Tensor]) -> Tensor) {
    let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tensors = || vars.iter().map(Var::as_tensor).collect::<Vec<_>>();
    let weigh = tensor(rng, run(&tensors()).dims());
    let grads = (run(&tensors()) * &weigh).unwrap().sum_all().unwrap().backward().unwrap();
    for (n, (var, start)) in vars.iter().zip(inputs).enumerate() {
        let direction = tensor(rng, var.dims());
        let slope = slope_along(grads.get(var).unwrap(), &direction);
        check_slope(&format!("{what}, input {n}"), slope, |offset| {
            let moved = (start + (&direction * offset).unwrap()).unwrap();
            let all: Vec<&Tensor> =
                vars.iter().enumerate().map(|(m, v)| if m == n { &moved } else { v.as_tensor() }).collect();
            sum(&(run(&all) * &weigh).unwrap())
        });
    }
}

/// Gamma and beta, (2, channels), that keep every other channel above ReLU's kink for all inputs, and the rest below
/// it: normalised values are smaller than the square root of their number.
fn clear_affine(rng: &mut SplitMix64, channels: usize) -> Tensor {
    let gamma = (tensor(rng, &[channels]) * 0.3).unwrap();
    Tensor::stack(&[gamma, sided(rng, &[channels], 2.2, 3.0)], 0).unwrap()
}

/// Values from `low` to `high`, negative in every other column.
fn sided(rng: &mut SplitMix64, shape: &[usize], low: f32, high: f32) -> Tensor {
    let columns = *shape.last().unwrap();
    let sign = |i: usize| if (i % columns).is_multiple_of(2) { 1.0 } else { -1.0 };
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| sign(i) * (low + (high - low) * rng.next_f32())).collect();
    Tensor::from_vec(values, shape, &DEVICE).unwrap()
}

#[test]
fn each_operation_alone_agrees_with_finite_differences() {
    for rng_seed in 0..RNG_SEEDS {
        let rng = &mut SplitMix64::new(rng_seed);
        let inputs = [tensor(rng, &[7, 5]), tensor(rng, &[5, 3]), tensor(rng, &[3])];
        check_operation("affine", rng, &inputs, |t| affine(t[0], t[1], t[2]).unwrap());
        let inputs = [tensor(rng, &[7, 3, 20]), tensor(rng, &[5, 20])];
        check_operation("LSTM", rng, &inputs, |t| lstm_sequence(t[0], t[1]).unwrap());
        let indices: std::sync::Arc<[u32]> = (0..12).map(|i| if i % 5 == 0 { NO_INDEX } else { i % 6 }).collect();
        let inputs = [tensor(rng, &[6, 5])];
        check_operation("bag", rng, &inputs, |t| bag(t[0], &indices, 3).unwrap());
        let shape = Convolution { channels: 6, kernel: 3, dilation: 2 };
        let inputs = [tensor(rng, &[36, 5]), tensor(rng, &[15, 6]), clear_affine(rng, 6)];
        check_operation("convolution", rng, &inputs, |t| conv_norm_relu(t[0], t[1], t[2], shape, 4).unwrap().0);
    }
}

/// [`conv_norm_relu`] in candle's own operations.
fn conv_norm_relu_plainly(x: &Tensor, weight: &Tensor, affine: &Tensor, shape: Convolution, batch: usize) -> Tensor {
    let (cells, width) = x.dims2().unwrap();
    let mut z = Tensor::zeros((cells, shape.channels), x.dtype(), &DEVICE).unwrap();
    for tap in 0..shape.kernel {
        let shift = ((shape.kernel - 1 - tap) * shape.dilation * batch).min(cells);
        let y = x.matmul(&weight.narrow(0, tap * width, width).unwrap().contiguous().unwrap()).unwrap();
        z = (z + y.narrow(0, 0, cells - shift).unwrap().pad_with_zeros(0, shift, 0).unwrap()).unwrap();
    }
    let centred = z.broadcast_sub(&z.mean(0).unwrap()).unwrap();
    let variance = (centred.sqr().unwrap().mean(0).unwrap() + NORM_EPSILON).unwrap();
    let scale = (variance.sqrt().unwrap().recip().unwrap() * affine.get(0).unwrap()).unwrap();
    let y = centred.broadcast_mul(&scale).unwrap().broadcast_add(&affine.get(1).unwrap()).unwrap();
    y.relu().unwrap()
}

#[test]
fn the_fast_convolution_equals_the_plain_one_on_both_sides_of_the_kink() {
    for rng_seed in 0..RNG_SEEDS {
        let mut rng = SplitMix64::new(rng_seed);
        let shape = Convolution { channels: 6, kernel: 3, dilation: 2 };
        let vars = [[36, 5], [15, 6], [2, 6]].map(|dims| Var::from_tensor(&tensor(&mut rng, &dims)).unwrap());
        let weigh = tensor(&mut rng, &[36, 6]);
        let run = |y: Tensor| {
            let grads = (&y * &weigh).unwrap().sum_all().unwrap().backward().unwrap();
            (y, vars.each_ref().map(|var| grads.get(var).unwrap().clone()))
        };
        let [x, weight, affine] = vars.each_ref().map(Var::as_tensor);
        let fast = run(conv_norm_relu(x, weight, affine, shape, 4).unwrap().0);
        let plain = run(conv_norm_relu_plainly(x, weight, affine, shape, 4));
        let on = values(&fast.0).iter().filter(|y| **y > 0.0).count();
        assert!((1..216).contains(&on), "expected units on both sides of the kink, {on} of 216 are on");
        assert_close(&fast.0, &plain.0, 1e-5);
        fast.1.iter().zip(&plain.1).for_each(|(fast, plain)| assert_close(fast, plain, 1e-4));
    }
}

/// Sets a network's values so that no unit comes near ReLU's kink, for any input, and no LSTM saturates.
fn clear_of_kinks(network: &Network, rng: &mut SplitMix64) {
    let is_dense = |name: &str| name.starts_with("dense") && name.ends_with("bias");
    let num_dense = network.variables().iter().filter(|(name, _)| is_dense(name)).count();
    for (name, var) in network.variables() {
        let is_hidden = |part: &str| (0..num_dense.saturating_sub(1)).any(|i| *name == format!("dense.{i}.{part}"));
        let shape = var.dims();
        let mut within = |limit: f64| (tensor(rng, shape) * limit).unwrap();
        let moved = match name.as_str() {
            _ if name.ends_with("norm.gamma") => within(0.3),
            _ if name.ends_with("norm.beta") => sided(rng, shape, 2.2, 3.0),
            // Small, because a change grows over nine steps.
            _ if name.starts_with("lstm") && name.ends_with(".w_ih") => within(0.4),
            _ if name.starts_with("lstm") && name.ends_with(".w_hh") => within(0.5),
            // The outputs of an LSTM are below 1, and dropout scales them by up to 1.5; those of a hidden layer are
            // below 6.
            "dense.0.weight" if is_hidden("weight") => within(0.3),
            _ if is_hidden("weight") => within(0.06),
            _ if is_hidden("bias") => sided(rng, shape, 3.0, 3.5),
            // The sum of a cell's table rows decides on which side of the kink its units are; all other terms are
            // small.
            "head.table" => sided(rng, shape, 0.15, 0.2),
            "head.trunk" => within(0.06),
            "head.0.weight" | "head.1.weight" => within(0.01),
            "head.0.bias" | "head.1.bias" => sided(rng, shape, 0.2, 0.3),
            // Large logits would be noisy.
            "head.out.weight" | "head.relative" => within(0.15),
            _ => continue,
        };
        var.set(&moved).unwrap();
    }
}

#[test]
fn every_gradient_of_a_network_agrees_with_finite_differences() {
    for rng_seed in 0..RNG_SEEDS {
        for network in [small_network, small_split_network, small_line_network] {
            check_network(network(rng_seed), rng_seed);
        }
    }
}

/// The logits in training mode, with the same dropout in every call.
fn logits(network: &Network, inputs: &Inputs) -> Tensor {
    network.forward(inputs, Some(Training { rng: &mut SplitMix64::new(5) })).unwrap()
}

fn check_network((network, inputs, _): (Network, Inputs, Tensor), rng_seed: u64) {
    let mut rng = SplitMix64::new(rng_seed ^ 0x6b69_6e6b);
    clear_of_kinks(&network, &mut rng);
    let weigh = tensor(&mut rng, logits(&network, &inputs).dims());
    let grads = (logits(&network, &inputs) * &weigh).unwrap().sum_all().unwrap().backward().unwrap();
    for (name, var) in network.trainable() {
        let grad = match grads.get(var) {
            Some(grad) => grad,
            // Normalisation cancels the bias of a convolution, so its gradient is left out.
            None if name.starts_with("conv") && name.ends_with(".bias") => continue,
            None => panic!("{name} has no gradient"),
        };
        // Move only so far that the loss stays nearly linear: recurrence and normalisation make it curved.
        // Normalisation also cancels the scale of embeddings.
        let reach = match name.split('.').next() {
            Some("lstm") => 0.3,
            Some("conv" | "trunk") => 0.4,
            Some("embedding" | "feature") => 4.0,
            _ => 1.0,
        };
        let direction = (tensor(&mut rng, var.dims()) * reach).unwrap();
        let start = var.as_detached_tensor().copy().unwrap();
        check_slope(&format!("rng seed {rng_seed}, {name}"), slope_along(grad, &direction), |offset| {
            var.set(&(&start + (&direction * offset).unwrap()).unwrap()).unwrap();
            let sum = sum(&(logits(&network, &inputs) * &weigh).unwrap());
            var.set(&start).unwrap();
            sum
        });
    }
}
