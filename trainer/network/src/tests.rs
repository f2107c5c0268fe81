//! Fast operations against their plain references, and small networks of each kind for the tests of gradients.

mod gradients;
mod parity;
mod performance;

use continuo_model::config::{Convolution, Feature, FeatureKind, HomeKey, LineConfig, SplitConfig, StackConfig};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::line_reader::LineFeature;
use continuo_model::tokeniser::step_reader::{HEAD_SLOTS, HEAD_TABLE_ROWS, NO_INDEX, StepFeature, relative_columns};

use super::bag::{bag, bag_plainly};
use super::lstm_sequence::{lstm_sequence, lstm_step_by_step};
use super::*;

const DEVICE: Device = Device::Cpu;

fn tensor(rng: &mut SplitMix64, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.next_f32() * 2.0 - 1.0).collect();
    Tensor::from_vec(values, shape, &DEVICE).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(a: &Tensor, b: &Tensor, tolerance: f32) {
    let worst = values(a).iter().zip(&values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < tolerance, "the tensors differ by {worst}");
}

#[test]
fn a_dropout_mask_does_not_depend_on_the_number_of_threads() {
    let drawn = |threads: usize| {
        let mut rng = SplitMix64::new(4);
        let mask = super::mask(&mut rng, 5 * super::LEAST_DRAWS + 3, 0.3, threads);
        (mask, rng.state())
    };
    let one = drawn(1);
    assert!((2..6).all(|threads| drawn(threads) == one));
    let dropped = one.0.iter().filter(|x| **x == 0.0).count() as f64 / one.0.len() as f64;
    assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
}

#[test]
fn the_fast_lstm_equals_the_plain_one_forwards_and_backwards() {
    let mut rng = SplitMix64::new(1);
    let gates = Var::from_tensor(&tensor(&mut rng, &[7, 3, 20])).unwrap();
    let w_hh = Var::from_tensor(&tensor(&mut rng, &[5, 20])).unwrap();
    let weigh = tensor(&mut rng, &[7, 3, 5]);
    let run = |lstm: fn(&Tensor, &Tensor) -> Result<Tensor>| {
        let out = lstm(&gates, &w_hh).unwrap();
        let grads = (&out * &weigh).unwrap().sum_all().unwrap().backward().unwrap();
        (out, grads.get(&gates).unwrap().clone(), grads.get(&w_hh).unwrap().clone())
    };
    let (fast, plain) = (run(lstm_sequence), run(lstm_step_by_step));
    assert_close(&fast.0, &plain.0, 1e-6);
    assert_close(&fast.1, &plain.1, 1e-5);
    assert_close(&fast.2, &plain.2, 1e-5);
}

/// An untrained network with noise added, so that no gradient is tested only at zero.
fn noisy(config: NetworkConfig, rng: &mut SplitMix64) -> Network {
    let network = Network::init(config, 3, &DEVICE).unwrap();
    for (name, var) in network.variables() {
        if !name.ends_with("norm.var") {
            let noise = (tensor(rng, var.dims()) * 0.3).unwrap();
            var.set(&(var.as_detached_tensor() + noise).unwrap()).unwrap();
        }
    }
    network
}

fn small_split_network(rng_seed: u64) -> (Network, Inputs, Tensor) {
    let config = SplitConfig {
        vocab_size: 48,
        features: vec![StepFeature::Sounding, StepFeature::Beat, StepFeature::Echo],
        embedding: 5,
        // The second layer is as wide as its input, and hence residual.
        lstm: vec![6, 6],
        head: 7,
        head_layers: 2,
        dropout: 0.3,
        row_dropout: 0.2,
        weight_dropout: 0.2,
    };
    let mut rng = SplitMix64::new(rng_seed);
    let (steps, batch, slots) = (9, 3, config.trunk_slots());
    let trunk_table_rows = config.features.iter().map(|f| f.table_rows()).sum::<usize>();
    let network = noisy(NetworkConfig::Split(config), &mut rng);
    let mut indices = |count: usize, bound: usize| -> std::sync::Arc<[u32]> {
        (0..count).map(|i| if i % 7 == 0 { NO_INDEX } else { rng.next_below(bound) as u32 }).collect()
    };
    let (trunk, head) = (
        indices(steps * batch * slots, trunk_table_rows),
        indices(steps * batch * NUM_VOICES * HEAD_SLOTS, HEAD_TABLE_ROWS),
    );
    let cells = steps * batch * NUM_VOICES;
    let mut relative = vec![0; cells * 48];
    for (n, columns) in relative.chunks_exact_mut(48).enumerate() {
        relative_columns((n % 5 > 0).then_some(40 + n as u8 % 30), columns);
    }
    let targets: Vec<u32> = (0..cells).map(|_| rng.next_below(48) as u32).collect();
    let relative = Tensor::from_vec(relative, (cells, 48), &DEVICE).unwrap();
    let inputs = Inputs::Split(SplitInputs { steps, batch, trunk, head, relative });
    (network, inputs, Tensor::from_vec(targets, cells, &DEVICE).unwrap())
}

#[test]
fn the_fast_bag_equals_the_plain_one_forwards_and_backwards() {
    let mut rng = SplitMix64::new(1);
    let table = Var::from_tensor(&tensor(&mut rng, &[6, 5])).unwrap();
    let indices: std::sync::Arc<[u32]> = [0, 5, 5, NO_INDEX, 2, 0, NO_INDEX, NO_INDEX, NO_INDEX].into();
    let weigh = tensor(&mut rng, &[3, 5]);
    let run = |out: Tensor| {
        let grads = (&out * &weigh).unwrap().sum_all().unwrap().backward().unwrap();
        (out, grads.get(&table).unwrap().clone())
    };
    let (fast, plain) = (run(bag(&table, &indices, 3).unwrap()), run(bag_plainly(&table, &indices, 3).unwrap()));
    assert_close(&fast.0, &plain.0, 1e-6);
    assert_close(&fast.1, &plain.1, 1e-6);
}

fn small_network(rng_seed: u64) -> (Network, Inputs, Tensor) {
    let features = [FeatureKind::Voice, FeatureKind::Beat, FeatureKind::Sounding, FeatureKind::Held];
    let config = StackConfig {
        vocab_size: 48,
        embedding: 3,
        features: features.map(|kind| Feature { kind, width: 2 }).to_vec(),
        convolutions: vec![
            Convolution { channels: 6, kernel: 2, dilation: 1 },
            Convolution { channels: 5, kernel: 3, dilation: 2 },
        ],
        dropout: 0.3,
        lstm: vec![4, 6],
        dense: vec![7],
    };
    let slots = config.features.iter().flat_map(|f| vec![f.kind.table_rows(); f.kind.slots()]);
    let slots: Vec<_> = slots.collect();
    let mut rng = SplitMix64::new(rng_seed);
    let network = noisy(NetworkConfig::Stack(config), &mut rng);
    let (steps, batch) = (9, 4);
    let previous: Vec<u32> = (0..steps * batch).map(|_| rng.next_below(49) as u32).collect();
    let features: Vec<u32> =
        (0..steps * batch).flat_map(|_| slots.iter().map(|&n| rng.next_below(n) as u32).collect::<Vec<_>>()).collect();
    let targets: Vec<u32> = (0..steps * batch).map(|_| rng.next_below(48) as u32).collect();
    let inputs = Inputs::Stack(StackInputs {
        previous: Tensor::from_vec(previous, (steps, batch), &DEVICE).unwrap(),
        features: Tensor::from_vec(features, (steps, batch, slots.len()), &DEVICE).unwrap(),
    });
    (network, inputs, Tensor::from_vec(targets, steps * batch, &DEVICE).unwrap())
}

fn small_line_network(rng_seed: u64) -> (Network, Inputs, Tensor) {
    let config = LineConfig {
        vocab_size: 11,
        embedding: 5,
        features: vec![LineFeature::Beat, LineFeature::Held],
        lstm: vec![6, 4],
        dense: vec![7, 5],
        dropout: 0.3,
        row_dropout: 0.1,
        weight_dropout: 0.2,
        context_events: 8,
        home_key: HomeKey::None,
    };
    let mut rng = SplitMix64::new(rng_seed);
    let (steps, batch, slots) = (9, 3, config.slots());
    let network = noisy(NetworkConfig::Line(config), &mut rng);
    let indices = (0..steps * batch * slots)
        .map(|i| if i % 7 == 0 { NO_INDEX } else { rng.next_below(11 + 4 + 16) as u32 })
        .collect();
    let targets: Vec<u32> = (0..steps * batch).map(|_| rng.next_below(11) as u32).collect();
    let inputs = Inputs::Line(LineInputs { steps, batch, indices });
    (network, inputs, Tensor::from_vec(targets, steps * batch, &DEVICE).unwrap())
}

/// The training loss, with the same dropout in every call.
fn loss(network: &Network, inputs: &Inputs, targets: &Tensor) -> Tensor {
    let mut rng = SplitMix64::new(5);
    let logits = network.forward(inputs, Some(Training { rng: &mut rng })).unwrap();
    candle_nn::loss::cross_entropy(&logits, targets).unwrap()
}

#[test]
fn running_statistics_approach_those_of_the_batches() {
    let (network, inputs, targets) = small_network(4);
    let gap = || {
        let trained = loss(&network, &inputs, &targets).to_scalar::<f32>().unwrap();
        let logits = network.forward(&inputs, None).unwrap();
        let evaluated = candle_nn::loss::cross_entropy(&logits, &targets).unwrap().to_scalar::<f32>().unwrap();
        (trained - evaluated).abs()
    };
    let before = gap();
    for _ in 0..600 {
        loss(&network, &inputs, &targets);
    }
    assert!(gap() < before, "the running statistics did not move towards the batch's");
}

#[test]
fn no_output_depends_on_later_inputs() {
    let (network, inputs, _) = small_network(4);
    let before = network.forward(&inputs, None).unwrap();
    let Inputs::Stack(inputs) = inputs else { panic!("expected inputs of a stack") };
    let mut previous = inputs.previous.to_vec2::<u32>().unwrap();
    previous[5].fill(1);
    let changed = Inputs::Stack(StackInputs { previous: Tensor::new(previous, &DEVICE).unwrap(), ..inputs });
    let after = network.forward(&changed, None).unwrap();
    let rows = |t: &Tensor, from: usize, n: usize| values(&t.narrow(0, from * 4, n * 4).unwrap());
    assert_eq!(rows(&before, 0, 5), rows(&after, 0, 5));
    assert_ne!(rows(&before, 5, 4), rows(&after, 5, 4));
}
