//! Rows of four symbols, as the plan has them, from and to what the bridge speaks. Audio thread.

use continuo_model::decision::{self, Decision, Lanes};
use continuo_model::generate::{decision_of, symbols_of};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

use super::sequencer::Row;

/// One voice in one step: left to the network, or given by the player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given {
    /// The network decides.
    #[default]
    Free,
    /// The voice does this.
    Symbol(Symbol),
}

/// A voice that holds sounds something; which key does not matter to a grid model.
const ANY_KEY: u8 = 60;

/// What the bridge is given for a row.
pub fn to_given(row: [Given; NUM_VOICES]) -> decision::Given {
    let mut given = decision::Given::NOTHING;
    for (lane, voice) in (0..).zip(row) {
        match voice {
            Given::Free => {}
            Given::Symbol(Symbol::Pitch(key)) => given.strike(lane, key, 0),
            Given::Symbol(Symbol::Hold) => given.hold(lane, ANY_KEY),
            Given::Symbol(Symbol::Rest) => given.lanes = given.lanes.with(lane),
        }
    }
    given
}

/// The voices of a decision, all given.
pub fn from_decision(decision: &Decision) -> [Given; NUM_VOICES] {
    from_given(&decision::Given::all(*decision))
}

pub fn from_given(given: &decision::Given) -> [Given; NUM_VOICES] {
    symbols_of(given).map(|symbol| symbol.map_or(Given::Free, Given::Symbol))
}

/// The row of a decision, and what the voices sound after it.
pub fn row_of(decision: &Decision) -> (Row, [Option<u8>; NUM_VOICES]) {
    let row = symbols_of(&decision::Given::all(*decision)).map(|symbol| symbol.unwrap_or(Symbol::Rest));
    (row, std::array::from_fn(|voice| decision.sounding.keys(voice as u8).next()))
}

pub fn to_decision(row: Row, sounding: [Option<u8>; NUM_VOICES]) -> Decision {
    decision_of(row, sounding, sounding)
}

pub fn lanes(voices: [bool; NUM_VOICES]) -> Lanes {
    Lanes::from_fn(|lane| voices.get(usize::from(lane)).is_some_and(|is_in| *is_in))
}
