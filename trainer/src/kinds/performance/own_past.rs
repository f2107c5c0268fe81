//! A past of the network's own: stretches of a piece that it plays itself. Trained only on composers' pasts, a network
//! has never heard its own mistakes, and one leads to the next (Ross, Gordon and Bagnell, "A reduction of imitation
//! learning and structured prediction to no-regret online learning", 2011).

use std::sync::Arc;

use continuo_model::decision::{Decision, Edge, Lanes, TICKS_PER_STEP};
use continuo_model::generate::{Network, Step, StepSettings};
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use continuo_model::tokeniser::step_reader::Controls;

use crate::preparation::performed::{PerformedNote, PerformedPiece};
use crate::seeds::Seed;

/// The network plays for at least this many steps, and for up to as many more: left alone for longer, its music would
/// have nothing to do with the piece any more.
const ALONE_STEPS: usize = 2 * STEPS_PER_BEAT;
/// Then it hears as many steps of the piece at least, and up to as many more.
const PIECE_STEPS: usize = 4 * STEPS_PER_BEAT;
/// How many times as long a stretch may be as it is at least.
const LONGEST: usize = 4;

/// The notes of a piece, of which the network has played the lanes `own` in some stretches, at the shipped settings.
pub fn play(
    network: &Arc<dyn Network>,
    piece: &PerformedPiece,
    own: Lanes,
    rng: &mut SplitMix64,
) -> Vec<PerformedNote> {
    let sampler = network.description().sampler();
    let mut performer = Arc::clone(network).performer();
    let settings = StepSettings { sampler, rng_seed: rng.next_u64(), ..StepSettings::default() };
    let seed = Seed::of_performed(piece);
    let (mut alone, mut until) = (true, 0);
    let mut collected = Collected { notes: Vec::with_capacity(piece.notes.len()), sounding: Vec::new() };
    for step in 0..seed.num_steps() {
        if step == until {
            alone = !alone;
            let least = if alone { ALONE_STEPS } else { PIECE_STEPS };
            until += least + rng.next_below(least * (LONGEST - 1) + 1);
            collected.end_all(ticks(step));
        }
        let mut given = seed.given(step);
        if alone {
            given.lanes = network.capabilities().lanes & !own;
        }
        let place = piece.place(step as i64);
        let controls = Controls { bar: place.bar, ..Controls::NONE };
        let decision = performer.decide(&Step {
            step_idx: step as i64,
            step_in_beat: place.step_in_beat.map_or(step % STEPS_PER_BEAT, usize::from),
            given,
            attack: false,
            settings: StepSettings { controls, ..settings },
        });
        let from_piece = piece.notes.partition_point(|note| note.tick < ticks(step));
        let of_piece = piece.notes[from_piece..].iter().take_while(|note| note.tick < ticks(step + 1));
        collected.notes.extend(of_piece.filter(|note| !alone || !own.contains(note.lane)));
        if alone {
            collected.add(&decision, own, ticks(step));
        }
    }
    collected.end_all(ticks(seed.num_steps()));
    collected.notes.sort_by_key(|note| (note.tick, note.lane, std::cmp::Reverse(note.key)));
    collected.notes
}

fn ticks(step: usize) -> i64 {
    step as i64 * i64::from(TICKS_PER_STEP)
}

/// The notes so far.
struct Collected {
    notes: Vec<PerformedNote>,
    /// The places in `notes` of the network's notes that have not ended.
    sounding: Vec<usize>,
}

impl Collected {
    /// Adds what the network plays in the step that begins at `start`.
    fn add(&mut self, decision: &Decision, own: Lanes, start: i64) {
        for edge in decision.edges().iter().filter(|edge| own.contains(edge.lane())) {
            let tick = start + i64::from(edge.tick());
            let (lane, key) = (edge.lane(), edge.key());
            if let Edge::On { velocity, .. } = *edge {
                self.sounding.push(self.notes.len());
                // 0 is no decision: the network has no velocities.
                let velocity = (velocity > 0).then_some(velocity);
                self.notes.push(PerformedNote { tick, end: tick + 1, lane, key, velocity });
                continue;
            }
            let is_it = |note: &PerformedNote| (note.lane, note.key) == (lane, key);
            if let Some(at) = self.sounding.iter().position(|idx| is_it(&self.notes[*idx])) {
                let note = &mut self.notes[self.sounding.swap_remove(at)];
                note.end = tick.max(note.tick + 1);
            }
        }
    }

    /// Ends all notes of the network's that sound.
    fn end_all(&mut self, tick: i64) {
        for idx in self.sounding.drain(..) {
            self.notes[idx].end = tick.max(self.notes[idx].tick + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use continuo_model::config::{NetworkConfig, PerformanceConfig};
    use continuo_model::generate;
    use continuo_model::note_tokens::vocabulary_hash;

    use super::*;
    use crate::kinds::split::testing::untrained;

    fn player() -> Arc<dyn Network> {
        let config = PerformanceConfig {
            lanes: 2,
            velocities: true,
            drums: false,
            ranges: Vec::new(),
            embedding: 8,
            lstm: vec![8],
            head: 8,
            head_layers: 1,
            dropout: 0.0,
            row_dropout: 0.0,
            weight_dropout: 0.0,
        };
        generate::network(&untrained(NetworkConfig::Performance(config), vocabulary_hash())).unwrap()
    }

    #[test]
    fn stretches_of_the_piece_and_of_the_network_alternate() {
        let piece = PerformedPiece {
            notes: (0..600)
                .map(|n| PerformedNote {
                    tick: 24 * n,
                    end: 24 * n + 20,
                    lane: (n % 2) as u8,
                    key: 60,
                    velocity: Some(64),
                })
                .collect(),
            bars: (0..38).map(|bar| (16 * bar, 16)).collect(),
            ..PerformedPiece::default()
        };
        let play = |rng_seed: u64, own: Lanes| play(&player(), &piece, own, &mut SplitMix64::new(rng_seed));
        let both = Lanes::first(2);
        let past = play(3, both);
        assert_eq!(past, play(3, both), "the same seed gives the same past");
        assert_ne!(past, play(4, both));
        assert!(past.iter().all(|note| note.end > note.tick) && past.is_sorted_by_key(|note| note.tick));
        // From the first step on a stretch is the piece's, and then the network's of at most two bars.
        let kept: BTreeSet<i64> =
            past.iter().filter(|note| piece.notes.contains(note)).map(|note| note.tick / 24).collect();
        let first_own = (0..600).find(|step| !kept.contains(step)).unwrap();
        assert!((PIECE_STEPS as i64..=(LONGEST * PIECE_STEPS) as i64).contains(&first_own), "{first_own}");
        assert!(kept.len() > 250 && kept.len() < 550, "{}", kept.len());
        // Beside a given lane only the other one is the network's.
        let past = play(3, Lanes::NONE.with(1));
        let of_lane = |notes: &[PerformedNote]| notes.iter().filter(|note| note.lane == 0).copied().collect::<Vec<_>>();
        assert_eq!(of_lane(&past), of_lane(&piece.notes));
    }
}
