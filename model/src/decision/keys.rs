//! Sets of keys in one lane, and the states of a lane within a step.

use super::{Decision, Edge, Given, Lanes, Sounding};

/// A set of MIDI keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys(u128);

impl Keys {
    /// No key.
    pub const NONE: Self = Self(0);

    /// Adds a key.
    pub fn insert(&mut self, key: u8) {
        self.0 |= 1 << key;
    }

    /// Removes a key; returns whether the set contained it.
    pub fn remove(&mut self, key: u8) -> bool {
        let was_there = self.contains(key);
        self.0 &= !(1 << key);
        was_there
    }

    /// Whether the set contains `key`.
    pub fn contains(self, key: u8) -> bool {
        self.0 >> key & 1 == 1
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The keys that are not in `others`.
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// The keys, highest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let key = left.checked_ilog2()? as u8;
            left &= !(1 << key);
            Some(key)
        })
    }
}

impl Lanes {
    /// The set as bits: bit n for lane n.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set of bits: lane n for bit n.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

impl Sounding {
    /// The keys that sound in `lane`, as a set.
    pub fn lane(&self, lane: u8) -> Keys {
        Keys(self.0[usize::from(lane)])
    }
}

impl Decision {
    /// The keys that sound in `lane` after the edges at tick 0 and before the later ones.
    pub fn keys_at_start(&self, lane: u8) -> Keys {
        let mut keys = self.sounding.lane(lane);
        for edge in self.edges().iter().rev().filter(|edge| edge.lane() == lane && edge.tick() > 0) {
            match *edge {
                Edge::On { key, .. } => {
                    keys.remove(key);
                }
                Edge::Off { key, .. } => keys.insert(key),
            }
        }
        keys
    }
}

impl Given {
    /// Gives further lanes, with their part of `notes`: those of `lanes` that are not given yet.
    pub fn with(mut self, lanes: Lanes, notes: &Decision) -> Self {
        let added = lanes & !self.lanes;
        self.lanes = self.lanes | added;
        for edge in notes.edges().iter().filter(|edge| added.contains(edge.lane())) {
            self.notes.push(*edge);
        }
        for lane in added.iter() {
            self.notes.sounding.0[usize::from(lane)] = notes.sounding.0[usize::from(lane)];
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_keys_holds_the_whole_keyboard() {
        let mut keys = Keys::NONE;
        [0, 127, 60].into_iter().for_each(|key| keys.insert(key));
        assert_eq!(keys.iter().collect::<Vec<_>>(), [127, 60, 0]);
        let mut ends = keys;
        assert!(ends.remove(60) && !ends.remove(60));
        assert_eq!(keys.without(ends).iter().collect::<Vec<_>>(), [60]);
    }

    #[test]
    fn keys_at_start_leave_out_the_later_edges() {
        let mut decision = Decision::SILENCE;
        decision.sounding.insert(0, 48);
        decision.sounding.insert(0, 60);
        decision.push(Edge::Off { lane: 0, key: 60, tick: 0 });
        decision.push(Edge::On { lane: 0, key: 62, velocity: 0, tick: 0 });
        decision.push(Edge::Off { lane: 0, key: 62, tick: 12 });
        decision.push(Edge::On { lane: 0, key: 64, velocity: 0, tick: 12 });
        assert_eq!(decision.keys_at_start(0).iter().collect::<Vec<_>>(), [62, 48]);
        assert_eq!(decision.sounding.keys(0).collect::<Vec<_>>(), [64, 48]);
        assert!(decision.keys_at_start(1).is_empty());
    }

    #[test]
    fn given_lanes_win_over_added_ones() {
        let mut frozen = Decision::SILENCE;
        for (lane, key) in [(0, 72), (3, 48)] {
            frozen.push(Edge::On { lane, key, velocity: 80, tick: 0 });
        }
        let mut given = Given::NOTHING;
        given.hold(0, 76);
        let given = given.with(Lanes::first(4), &frozen);
        assert_eq!(given.lanes, Lanes::first(4));
        assert_eq!(given.notes.edges(), [Edge::On { lane: 3, key: 48, velocity: 80, tick: 0 }]);
        assert_eq!(given.notes.sounding.iter().collect::<Vec<_>>(), [(0, 76), (3, 48)]);
    }
}
