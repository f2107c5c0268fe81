//! A moving average of the weights, which generalises better than the weights of any one step.

use anyhow::Result;
use candle_core::{Tensor, Var};
use continuo_network::Network;

/// The average of each variable, if the recipe turns averaging on (Polyak and Juditsky, "Acceleration of stochastic
/// approximation by averaging", 1992; here with an exponential window).
pub struct Averages {
    decay: f64,
    tensors: Vec<(String, Tensor)>,
}

impl Averages {
    /// Starts from the network's current variables. A `decay` of 0 turns averaging off.
    pub fn new(network: &Network, decay: f64) -> Result<Self> {
        let copy = |(name, var): &(String, Var)| Ok((name.clone(), var.as_detached_tensor().copy()?));
        let tensors =
            if decay > 0.0 { network.variables().iter().map(copy).collect::<Result<_>>()? } else { Vec::new() };
        Ok(Self { decay, tensors })
    }

    /// Includes the weights after `step` optimiser steps. The window grows with the steps, so that the random initial
    /// weights soon stop counting.
    pub fn update(&mut self, network: &Network, step: u32) -> Result<()> {
        let decay = self.decay.min((1.0 + f64::from(step)) / (10.0 + f64::from(step)));
        for ((_, average), (_, var)) in self.tensors.iter_mut().zip(network.variables()) {
            *average = ((&*average * decay)? + (var.as_detached_tensor() * (1.0 - decay))?)?.detach();
        }
        Ok(())
    }

    /// The averages by name; empty if averaging is off.
    pub fn tensors(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.tensors.iter()
    }

    /// The averages by name, for a checkpoint to restore.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor)> {
        self.tensors.iter_mut().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The network to validate and save: with the averages if there are any, otherwise with the variables of `network`.
    pub fn network(&self, network: &Network) -> Result<Network> {
        let found = |name: &str| self.tensors.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor);
        Ok(Network::from_tensors(network.config().clone(), |name, _| match found(name) {
            Some(tensor) => tensor.copy(),
            None => {
                network.variables().iter().find(|(n, _)| n == name).expect("the tensor belongs to the network").1.copy()
            }
        })?)
    }
}
