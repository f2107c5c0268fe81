//! Where the network runs: on the CPU, or on a GPU that a background thread opens. Either decides the same, so the
//! worker may change at any step. Worker.

use std::sync::Arc;

use continuo_model::generate::Network;
use continuo_model::stream::cuda::{Gpu, NoGpu};
use nice_plug::prelude::{EnumParam, Param};

use super::{Performance, WorkerShared};
use crate::background::Background;
use crate::params::Device;

/// The environment variable that overrides the parameter *Device*.
const DEVICE_VARIABLE: &str = "CONTINUO_DEVICE";
/// On *Auto*, networks whose LSTM layers have at least this many weights run on a GPU. An estimate, as long as none has
/// been measured: a step on a GPU costs some 40 us before it computes anything, and these layers take twice that on a
/// CPU.
const AUTO_WEIGHTS: usize = 6_000_000;
const CPU: &str = "CPU";

/// The device that the player wants.
#[derive(Clone)]
pub struct ChosenDevice {
    param: Arc<EnumParam<Device>>,
    /// The device that [`DEVICE_VARIABLE`] names.
    named: Option<Result<Device, String>>,
}

impl ChosenDevice {
    /// The value of the parameter, unless the environment overrides it.
    pub fn new(param: Arc<EnumParam<Device>>) -> Self {
        let named = std::env::var_os(DEVICE_VARIABLE).map(|named| match named.to_string_lossy().as_ref() {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda),
            other => Err(format!("{DEVICE_VARIABLE}: expected auto, cpu or cuda, got {other}; the CPU plays")),
        });
        Self { param, named }
    }

    fn get(&self) -> Device {
        match &self.named {
            Some(named) => named.clone().unwrap_or(Device::Cpu),
            None => self.param.unmodulated_plain_value(),
        }
    }

    /// A hint about the choice for the player; empty if there is none.
    fn notice(&self) -> String {
        match &self.named {
            Some(Err(problem)) => problem.clone(),
            Some(Ok(_)) => format!("{DEVICE_VARIABLE} is set: it decides, whatever you choose here."),
            None => String::new(),
        }
    }
}

impl Default for ChosenDevice {
    fn default() -> Self {
        Self::new(Arc::new(EnumParam::new("Device", Device::Cpu)))
    }
}

/// Runs the performance where the player wants.
pub struct Devices {
    chosen: ChosenDevice,
    /// What was last chosen, and for which network.
    settled: Option<(Device, Arc<dyn Network>)>,
    opening: Background<Result<Gpu, NoGpu>>,
    /// The network for which a GPU is being opened.
    opening_for: Option<Arc<dyn Network>>,
}

impl Devices {
    /// Nothing is settled: the CPU plays.
    pub fn new(chosen: ChosenDevice) -> Self {
        Self { chosen, settled: None, opening: Background::new("continuo gpu"), opening_for: None }
    }

    /// Follows the choice, a GPU that has been opened, and the loss of one. For an idle worker: closing a GPU takes
    /// time.
    pub fn follow(&mut self, performance: &mut Performance, shared: &WorkerShared) {
        if let Some(loss) = performance.performer.accelerator().take_loss() {
            shared.set_device(CPU, format!("The GPU was lost ({loss}). The CPU goes on; nothing is missing."));
        }
        if let Some(opened) = self.opening.done() {
            let is_for_this =
                self.opening_for.take().is_some_and(|network| Arc::ptr_eq(&network, &performance.network));
            match opened {
                Ok(Ok(gpu)) if is_for_this && wants_gpu(self.chosen.get(), performance) => {
                    shared.set_device(gpu.name(), self.chosen.notice());
                    performance.performer.accelerator().attach(Some(gpu));
                }
                Ok(Ok(_)) => {}
                Ok(Err(reason)) => shared.set_device(CPU, format!("The CPU plays: {reason}.")),
                Err(failure) => shared.set_device(CPU, format!("The CPU plays: {failure}.")),
            }
        }
        let choice = (self.chosen.get(), performance.network.clone());
        let is_settled = self
            .settled
            .as_ref()
            .is_some_and(|(device, network)| *device == choice.0 && Arc::ptr_eq(network, &choice.1));
        if is_settled || self.opening.is_busy() {
            return;
        }
        if wants_gpu(choice.0, performance) {
            let network = performance.network.clone();
            self.opening_for = Some(network.clone());
            let begun = self.opening.begin(move || {
                super::priority::lower();
                network.open_gpu()
            });
            shared.set_device(CPU, begun.err().unwrap_or_else(|| "Opening the GPU; the CPU plays until then.".into()));
        } else {
            performance.performer.accelerator().attach(None);
            shared.set_device(CPU, self.chosen.notice());
        }
        self.settled = Some(choice);
    }
}

fn wants_gpu(device: Device, performance: &Performance) -> bool {
    match device {
        Device::Cpu => false,
        Device::Cuda => true,
        Device::Auto => lstm_weights(&*performance.network) >= AUTO_WEIGHTS,
    }
}

/// How many weights the LSTM layers have, which alone run on a GPU.
fn lstm_weights(network: &dyn Network) -> usize {
    let tensors = network.description().config.tensors();
    let lstm = tensors.iter().filter(|(name, _)| name.contains("lstm."));
    lstm.map(|(_, shape)| shape.iter().product::<usize>()).sum()
}
