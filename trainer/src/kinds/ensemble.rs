//! Ensembles of split networks: judged and played as one of them, but trained one by one and put together.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use continuo_model::network::config::EnsembleConfig;
use continuo_model::stream::StreamingNetwork;
use continuo_model::weights_file::Weights;

use super::split::Split;
use super::{Judgement, Judging, Kind, Material, Music, four_voices};
use crate::recipe::Recipe;
use crate::seeds::Seed;

const NOT_TRAINED: &str = "network.kind: expected a network, got an ensemble; train its members one by one and put them \
                           together with `trainer combine`";

/// An ensemble of this shape.
pub struct Ensemble(pub EnsembleConfig);

impl Kind for Ensemble {
    fn layers(&self) -> Vec<String> {
        let mut layers = vec![format!("the mean of {} networks", self.0.members)];
        layers.extend(Split(self.0.member.clone()).layers());
        layers
    }

    fn check(&self, _recipe: &Recipe) -> Result<()> {
        bail!(NOT_TRAINED)
    }

    fn check_start(&self) -> Result<(), String> {
        Err("expected one network, got an ensemble; start from one of its members' files".into())
    }

    fn material(&self, _recipe: &Recipe, _music: Music, _start: Option<&Weights>) -> Result<Box<dyn Material>> {
        bail!(NOT_TRAINED)
    }

    fn judge(&self, network: &StreamingNetwork, judging: Judging) -> Result<Judgement> {
        four_voices::judge(network, judging)
    }

    fn seed(&self, _weights: &Weights, path: &Path) -> Result<Seed> {
        four_voices::seed(path)
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        four_voices::seeds(weights, paths)
    }
}
