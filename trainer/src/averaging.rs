//! A moving average of the weights: smoother than any one of them, and better on music that was not learnt.

use anyhow::Result;
use candle_core::{Tensor, Var};
use continuo_network::Network;

/// The averages, if a recipe asks for them. (Polyak and Juditsky, "Acceleration of stochastic approximation by
/// averaging", 1992; here with an exponential window.)
pub struct Averages {
    decay: f64,
    tensors: Vec<(String, Tensor)>,
}

impl Averages {
    /// Of the network's variables, from where they are. A `decay` of 0 keeps none.
    pub fn new(network: &Network, decay: f64) -> Result<Self> {
        let copy = |(name, var): &(String, Var)| Ok((name.clone(), var.as_detached_tensor().copy()?));
        let tensors =
            if decay > 0.0 { network.variables().iter().map(copy).collect::<Result<_>>()? } else { Vec::new() };
        Ok(Self { decay, tensors })
    }

    /// Takes the weights after `step` optimiser steps in. The window grows with the steps, so that the first weights
    /// are soon forgotten.
    pub fn update(&mut self, network: &Network, step: u32) -> Result<()> {
        let decay = self.decay.min((1.0 + f64::from(step)) / (10.0 + f64::from(step)));
        for ((_, average), (_, var)) in self.tensors.iter_mut().zip(network.variables()) {
            *average = ((&*average * decay)? + (var.as_detached_tensor() * (1.0 - decay))?)?.detach();
        }
        Ok(())
    }

    /// The averages by name; empty if none are kept.
    pub fn tensors(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.tensors.iter()
    }

    /// The same, to be put back.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor)> {
        self.tensors.iter_mut().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The network that is judged and kept: that of the averages, or `network` itself.
    pub fn network(&self, network: &Network) -> Result<Network> {
        let found = |name: &str| self.tensors.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor);
        Ok(Network::from_tensors(network.config().clone(), |name, _| match found(name) {
            Some(tensor) => tensor.copy(),
            None => network.variables().iter().find(|(n, _)| n == name).expect("it is the network's").1.copy(),
        })?)
    }
}
