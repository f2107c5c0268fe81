//! The ensemble: several split networks of one shape, whose predictions are averaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, NetworkConfig, SplitConfig, Tensors};
use crate::generate::{Capabilities, Network};
use crate::stream::{GridNetwork, Rates, SplitLayers};
use crate::weights_file::{Description, Weights};

/// An ensemble with more members is refused.
const MAX_MEMBERS: usize = 16;

/// Several split networks of one shape. The names of member n's tensors begin with `n.`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleConfig {
    /// How many members there are.
    pub members: usize,
    /// The shape of each member.
    pub member: SplitConfig,
    /// How fast the ensemble adapts to the piece that it plays; `None` if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<Rates>,
}

impl EnsembleConfig {
    /// Combines the weights of split networks of one shape into those of an ensemble.
    ///
    /// # Errors
    /// If there are no members or too many, or if they are not split networks of one shape.
    pub fn combine(
        members: &[Weights],
        adaptation: Option<Rates>,
        description: Description,
    ) -> Result<Weights, String> {
        let first = members.first().map(|first| &first.description.config);
        let Some(NetworkConfig::Split(member)) = first else {
            return Err("expected split networks to combine, got none or another kind".into());
        };
        let mut tensors = BTreeMap::new();
        for (n, weights) in members.iter().enumerate() {
            // Dropout matters only in training, so it may differ.
            let alike = matches!(&weights.description.config, NetworkConfig::Split(other)
                if other.features == member.features && other.tensors() == member.tensors());
            if !alike {
                return Err(format!(
                    "expected all to have the shape of the first, got another one in number {}",
                    n + 1
                ));
            }
            let named = |(name, _): (String, _)| (format!("{n}.{name}"), weights.tensor(&name).to_vec());
            tensors.extend(member.tensors().into_iter().map(named));
        }
        let config = NetworkConfig::Ensemble(Self { members: members.len(), member: member.clone(), adaptation });
        Weights::new(Description { config, ..description }, tensors).map_err(|problem| problem.to_string())
    }

    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If a member looks up more table rows at once than [`crate::stream`] supports.
    pub fn pack(&self, weights: &Weights) -> Result<GridNetwork<SplitLayers>, String> {
        Ok(GridNetwork::new(weights.description.clone(), SplitLayers::ensemble(weights, self)?))
    }
}

impl Kind for EnsembleConfig {
    fn tensors(&self) -> Tensors {
        let of_member = |n: usize| self.member.tensors().into_iter().map(move |(name, s)| (format!("{n}.{name}"), s));
        (0..self.members).flat_map(of_member).collect()
    }

    fn vocab_size(&self) -> usize {
        self.member.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        self.member.sees()
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MAX_MEMBERS).contains(&self.members) {
            return Err(format!("expected 1 to {MAX_MEMBERS} members, got {}", self.members));
        }
        self.member.check()
    }

    fn capabilities(&self) -> Capabilities {
        self.member.capabilities()
    }

    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pack(weights)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokeniser::step_reader::StepFeature;
    use crate::vocabulary::Vocabulary;
    use crate::weights_file::FORMAT;

    fn member() -> SplitConfig {
        SplitConfig {
            vocab_size: Vocabulary::GRID.size(),
            features: vec![StepFeature::Density],
            embedding: 2,
            lstm: vec![2],
            head: 2,
            head_layers: 0,
            dropout: 0.0,
            row_dropout: 0.0,
            weight_dropout: 0.0,
        }
    }

    fn description(config: SplitConfig) -> Description {
        Description {
            format: FORMAT,
            name: "Test".into(),
            config: NetworkConfig::Split(config),
            vocabulary: Vocabulary::GRID.hash().to_string(),
            lexicon: None,
            recipe: String::new(),
            sampling: None,
            corpora: Vec::new(),
            commit: String::new(),
            figures: Default::default(),
        }
    }

    fn weights(config: SplitConfig, rng_seed: u64) -> Weights {
        Weights::untrained(description(config), rng_seed).unwrap()
    }

    #[test]
    fn members_keep_their_weights_under_their_number() {
        let members = [weights(member(), 1), weights(SplitConfig { dropout: 0.5, ..member() }, 2)];
        let ensemble = EnsembleConfig::combine(&members, None, description(member())).unwrap();
        let shape = EnsembleConfig { members: 2, member: member(), adaptation: None };
        assert_eq!(ensemble.description.config, NetworkConfig::Ensemble(shape));
        for (n, weights) in members.iter().enumerate() {
            for (name, _) in member().tensors() {
                assert_eq!(ensemble.tensor(&format!("{n}.{name}")), weights.tensor(&name), "{n}.{name}");
            }
        }
    }

    #[test]
    fn members_of_other_shapes_are_refused() {
        let problem = |members: &[Weights]| {
            EnsembleConfig::combine(members, None, description(member())).map(|_| ()).unwrap_err()
        };
        let wide = weights(SplitConfig { head: 3, ..member() }, 1);
        assert_eq!(
            problem(&[weights(member(), 1), wide]),
            "expected all to have the shape of the first, got another one in number 2"
        );
        let other = weights(SplitConfig { features: vec![StepFeature::Register], ..member() }, 1);
        assert!(problem(&[weights(member(), 1), other]).ends_with("in number 2"));
        assert_eq!(problem(&[]), "expected split networks to combine, got none or another kind");
        let many = vec![weights(member(), 1); MAX_MEMBERS + 1];
        assert!(problem(&many).contains("expected 1 to 16 members, got 17"), "{}", problem(&many));
    }
}
