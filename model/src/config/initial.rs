//! Initial weights: the values from which training starts.

use super::NetworkConfig;
use crate::random::SplitMix64;

/// A tensor before training.
pub struct InitialTensor {
    /// The tensor's name.
    pub name: String,
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// The values in row-major order.
    pub values: Vec<f32>,
}

impl NetworkConfig {
    /// The network's tensors before training, in the order of [`NetworkConfig::tensors`]. Matrices are Glorot uniform,
    /// recurrent ones uniform with the variance of an orthogonal matrix; the forget gates' bias is 1. The same
    /// `rng_seed` gives the same values.
    pub fn initial_tensors(&self, rng_seed: u64) -> Vec<InitialTensor> {
        let mut rng = SplitMix64::new(rng_seed);
        let tensors = self.tensors().into_iter();
        tensors
            .map(|(name, shape)| InitialTensor { values: initial_values(&name, &shape, &mut rng), name, shape })
            .collect()
    }
}

fn initial_values(name: &str, shape: &[usize], rng: &mut SplitMix64) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let mut uniform = |limit: f32| -> Vec<f32> { (0..count).map(|_| (rng.next_f32() * 2.0 - 1.0) * limit).collect() };
    match name.rsplit('.').next().expect("split yields at least one part") {
        "bias" if name.starts_with("lstm") => {
            let units = count / 4;
            (0..count).map(|i| f32::from(u8::from(i / units == 1))).collect()
        }
        "bias" | "beta" | "mean" => vec![0.0; count],
        "gamma" | "var" => vec![1.0; count],
        "table" => uniform(0.1),
        "weight" if name.starts_with("embedding") || name.starts_with("feature") => uniform(0.05),
        "w_hh" => uniform((3.0 / shape[0] as f32).sqrt()),
        "w_ih" => uniform((6.0 / (shape[0] + shape[1] / 4) as f32).sqrt()),
        _ => uniform((6.0 / (shape[0] + shape[1]) as f32).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{NetworkConfig, StackConfig};

    /// Another program computed the expected values, from the description of the generator.
    #[test]
    fn an_rng_seed_always_gives_the_same_values() {
        let config = NetworkConfig::Stack(StackConfig::chorale(48));
        let tensors = config.initial_tensors(1);
        let check = |name: &str, expect: [f32; 2]| {
            let tensor = tensors.iter().find(|tensor| tensor.name == name).unwrap();
            for (value, expect) in tensor.values.iter().zip(expect) {
                assert!((value - expect).abs() < 1e-7, "{name}: {value} for {expect}");
            }
        };
        check("embedding.weight", [0.006_656_152, 0.024_578_173]);
        check("conv.0.weight", [-0.273_057_1, 0.308_263_1]);
        check("conv.0.norm.gamma", [1.0, 1.0]);
        let forget = &tensors.iter().find(|tensor| tensor.name == "lstm.0.bias").unwrap().values;
        assert_eq!((forget[255], forget[256], forget[511], forget[512]), (0.0, 1.0, 1.0, 0.0));
    }
}
