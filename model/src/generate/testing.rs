//! Performers whose decisions are rows of symbols, for tests.

use super::{Checkpoint, Performer, Step, rows::symbols_of};
use crate::decision::{Decision, Given};
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::Symbol;

pub type Symbols = [Symbol; NUM_VOICES];

/// A performer whose decisions are converted to rows of symbols.
pub struct RowPerformer {
    pub performer: Box<dyn Performer>,
    /// The pitch of each voice after the last step.
    pub sounding: [Option<u8>; NUM_VOICES],
}

impl RowPerformer {
    pub fn new(performer: Box<dyn Performer>) -> Self {
        Self { performer, sounding: [None; NUM_VOICES] }
    }

    pub fn step(&mut self, step: &Step) -> Symbols {
        let decision = self.performer.decide(step);
        self.sounding = std::array::from_fn(|voice| decision.sounding.keys(voice as u8).next());
        row_of(&decision)
    }

    pub fn reset(&mut self) {
        self.performer.reset();
    }

    pub fn state(&self) -> Checkpoint {
        self.performer.checkpoint()
    }

    pub fn rewind(&mut self, state: &Checkpoint) {
        self.performer.restore(state);
    }
}

/// The player's part of a step; `None` for voices that the model decides.
pub fn given(row: [Option<Symbol>; NUM_VOICES]) -> Given {
    let mut given = Given::NOTHING;
    for (lane, symbol) in (0..).zip(row) {
        match symbol {
            None => {}
            Some(Symbol::Pitch(key)) => given.strike(lane, key, 0),
            Some(Symbol::Hold) => given.hold(lane, 60),
            Some(Symbol::Rest) => given.lanes = given.lanes.with(lane),
        }
    }
    given
}

pub fn row_of(decision: &Decision) -> Symbols {
    symbols_of(&Given::all(*decision)).map(|symbol| symbol.expect("all lanes are given"))
}
