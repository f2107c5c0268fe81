//! Converts between rows of symbols, which grid and line models decide, and decisions on lanes. Voice n of a row plays
//! on lane n.

use crate::decision::{Decision, Edge, Given};
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::Symbol;

/// The symbol that the player gives to each voice, soprano first; `None` for voices that the model decides. If several
/// notes start in a lane, the highest counts.
pub fn symbols_of(given: &Given) -> [Option<Symbol>; NUM_VOICES] {
    std::array::from_fn(|voice| {
        let lane = voice as u8;
        given.lanes.contains(lane).then(|| match given.notes.starts(lane).max() {
            Some(key) => Symbol::Pitch(key),
            None if given.notes.sounding.is_silent(lane) => Symbol::Rest,
            None => Symbol::Hold,
        })
    })
}

/// The decision of a row, from the pitches that the voices sound `before` and `after` it.
pub fn decision_of(
    row: [Symbol; NUM_VOICES],
    before: [Option<u8>; NUM_VOICES],
    after: [Option<u8>; NUM_VOICES],
) -> Decision {
    let mut decision = Decision::SILENCE;
    for (lane, (symbol, before)) in (0..).zip(row.into_iter().zip(before)) {
        if let Some(key) = before.filter(|_| symbol != Symbol::Hold) {
            decision.push(Edge::Off { lane, key, tick: 0 });
        }
        if let Symbol::Pitch(key) = symbol {
            decision.push(Edge::On { lane, key, velocity: 0, tick: 0 });
        }
    }
    for (lane, key) in (0..).zip(after) {
        decision.sounding.clear_lane(lane);
        if let Some(key) = key {
            decision.sounding.insert(lane, key);
        }
    }
    decision
}

/// The player's share of a step, from a symbol for each voice; `None` for the voices that the network decides.
pub fn given_of(row: &[Option<Symbol>; NUM_VOICES]) -> Given {
    let mut given = Given::NOTHING;
    for (lane, symbol) in (0..).zip(row) {
        match *symbol {
            Some(Symbol::Pitch(pitch)) => given.strike(lane, pitch, 0),
            // The held key does not matter here: on the grid, a voice holds the note it sounds.
            Some(Symbol::Hold) => given.hold(lane, 0),
            Some(Symbol::Rest) => given.lanes = given.lanes.with(lane),
            None => {}
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use Symbol::{Hold, Pitch, Rest};

    #[test]
    fn a_row_survives_the_way_through_a_decision() {
        let before = [Some(72), Some(67), None, Some(48)];
        let row = [Pitch(74), Hold, Rest, Rest];
        let decision = decision_of(row, before, [Some(74), Some(67), None, None]);
        assert_eq!(
            decision.edges(),
            [
                Edge::Off { lane: 0, key: 72, tick: 0 },
                Edge::Off { lane: 3, key: 48, tick: 0 },
                Edge::On { lane: 0, key: 74, velocity: 0, tick: 0 },
            ]
        );
        assert_eq!(symbols_of(&Given::all(decision)), row.map(Some));
    }

    #[test]
    fn given_notes_become_symbols_lane_by_lane() {
        let mut given = Given::NOTHING;
        given.strike(0, 76, 90);
        given.hold(3, 41);
        assert_eq!(symbols_of(&given), [Some(Pitch(76)), None, None, Some(Hold)]);
        assert_eq!(symbols_of(&Given::NOTHING), [None; 4]);
        assert_eq!(symbols_of(&Given::all(Decision::SILENCE)), [Some(Rest); 4]);
    }
}
