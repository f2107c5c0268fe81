//! Ensembles of split networks: evaluated and played like one network, but combined from members that are trained one
//! by one.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use continuo_model::config::EnsembleConfig;
use continuo_model::weights_file::Weights;

use super::four_voices::given_voices;
use super::{Judgement, Judging, Material, Music, TrainerSide, four_voices};
use crate::recipe::Recipe;
use crate::seeds::Seed;

const NOT_TRAINED: &str = "network.kind: expected a network, got an ensemble; train its members one by one and \
                           combine them with `trainer combine`";

impl TrainerSide for EnsembleConfig {
    fn layers(&self) -> Vec<String> {
        let mut layers = vec![format!("the mean of {} networks", self.members)];
        layers.extend(self.member.layers());
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

    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement> {
        let (pieces, given) = (four_voices::to_judge(weights, judging)?, given_voices(judging.given)?);
        four_voices::judgement(self.pack(weights), &pieces, given)
    }

    fn seed(&self, _weights: &Weights, path: &Path) -> Result<Seed> {
        four_voices::seed(path)
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        four_voices::seeds(weights, paths)
    }
}
