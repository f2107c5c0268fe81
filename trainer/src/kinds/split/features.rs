//! Fine-tuning with more input features than the initial weights have.

use std::collections::BTreeMap;

use continuo_model::config::{Kind, NetworkConfig, SplitConfig};
use continuo_model::weights_file::{Description, Weights};

/// The table of the trunk's features, one after the other.
const TABLE: &str = "trunk.table";

/// The weights of a split network with fewer features, extended to those of `config`: the rows of the new features are
/// 0. `None` if `start` has other features, or differs in anything else.
pub fn widened(config: &SplitConfig, start: &Weights) -> Option<Weights> {
    let NetworkConfig::Split(old) = &start.description.config else { return None };
    if !old.features.iter().all(|feature| config.features.contains(feature)) {
        return None;
    }
    let mut old_rows = BTreeMap::new();
    let mut rest = start.tensor(TABLE);
    for feature in &old.features {
        let (rows, later) = rest.split_at(feature.table_rows() * old.embedding);
        old_rows.insert(format!("{feature:?}"), rows);
        rest = later;
    }
    let rows = config.features.iter().map(|feature| match old_rows.get(&format!("{feature:?}")) {
        Some(rows) => rows.to_vec(),
        None => vec![0.0; feature.table_rows() * old.embedding],
    });
    let table: Vec<f32> = rows.flatten().collect();
    let kept = old.tensors().into_iter().filter(|(name, _)| name != TABLE);
    let mut tensors: BTreeMap<String, Vec<f32>> =
        kept.map(|(name, _)| (name.clone(), start.tensor(&name).to_vec())).collect();
    tensors.insert(TABLE.into(), table);
    let config = NetworkConfig::Split(SplitConfig { features: config.features.clone(), ..old.clone() });
    Weights::new(Description { config, ..start.description.clone() }, tensors).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::four_voices::{GridPiece, judgement};
    use crate::kinds::split::testing::{config, weights};
    use crate::preparation::four_voices::tests::piece;
    use continuo_model::tokeniser::grid::NUM_VOICES;
    use continuo_model::tokeniser::step_reader::{BarPosition, StepFeature};

    #[test]
    fn new_features_change_no_prediction() {
        use StepFeature::{Bar, Beat, Echo, Held, Phrase, Sounding};
        let old = config(&[Sounding, Beat]);
        let start = weights(&old);
        let mut piece = piece("72* 64* 55* 48* | 72 65* 57* 50* | 71* 62* 55* 43* | 72* 64* 55* 48*");
        piece.bars = (0..4).map(|step| Some(BarPosition { step_in_bar: step, bar_steps: 16 })).collect();
        let pieces = [GridPiece::of(&piece).unwrap()];
        let loss = |weights: &Weights, config: &SplitConfig| {
            judgement(config.pack(weights), &pieces, [false; NUM_VOICES]).unwrap().loss
        };
        for features in [vec![Sounding, Beat], vec![Sounding, Beat, Bar, Phrase], vec![Bar, Sounding, Phrase, Beat]] {
            let wider = config(&features);
            let weights = widened(&wider, &start).unwrap();
            assert_eq!(weights.description.config, NetworkConfig::Split(wider.clone()));
            assert_eq!(loss(&weights, &wider), loss(&start, &old), "{features:?}");
        }
        assert!(widened(&config(&[Sounding, Held, Bar]), &start).is_none(), "it lacks a feature of the start");
        assert!(widened(&SplitConfig { lstm: vec![9], ..config(&[Sounding, Beat, Echo]) }, &start).is_some());
    }
}
