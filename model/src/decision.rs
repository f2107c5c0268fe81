//! Decisions: which notes start and end in a step, and on which lanes. The plugin works with decisions only; each kind
//! of model encodes them as tokens in its own way.

mod keys;

pub use keys::Keys;

/// The number of lanes: musical parts, each of which the plugin sends on the MIDI channel of the same number.
pub const NUM_LANES: usize = 16;
/// The lane of given notes that belong to no lane in particular, where all lanes are given.
pub const ANY_LANE: u8 = NUM_LANES as u8 - 1;
/// Ticks in a step, 96 in a quarter note: 32nds and triplets fall on whole ticks.
pub const TICKS_PER_STEP: u8 = 24;
/// The most edges in a decision: enough for ten fingers that lift and strike within one step.
pub const MAX_EDGES: usize = 32;

/// A note's start or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// A note starts.
    On {
        /// The lane, below [`NUM_LANES`].
        lane: u8,
        /// MIDI key.
        key: u8,
        /// 1 to 127, or 0 if the model does not decide velocities.
        velocity: u8,
        /// Position within the step in ticks, below [`TICKS_PER_STEP`].
        tick: u8,
    },
    /// A note ends.
    Off {
        /// The lane, below [`NUM_LANES`].
        lane: u8,
        /// MIDI key.
        key: u8,
        /// Position within the step in ticks, below [`TICKS_PER_STEP`].
        tick: u8,
    },
}

impl Edge {
    /// The note's lane.
    pub fn lane(self) -> u8 {
        match self {
            Self::On { lane, .. } | Self::Off { lane, .. } => lane,
        }
    }

    /// The note's MIDI key.
    pub fn key(self) -> u8 {
        match self {
            Self::On { key, .. } | Self::Off { key, .. } => key,
        }
    }

    /// Position within the step in ticks.
    pub fn tick(self) -> u8 {
        match self {
            Self::On { tick, .. } | Self::Off { tick, .. } => tick,
        }
    }

    /// The sort key: by tick, and ends before starts at the same tick.
    fn order(self) -> (u8, bool) {
        (self.tick(), matches!(self, Self::On { .. }))
    }
}

/// A set of lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes(u16);

impl Lanes {
    /// No lane.
    pub const NONE: Self = Self(0);
    /// Every lane.
    pub const ALL: Self = Self(u16::MAX);

    /// The lanes for which `is_in` returns true.
    pub fn from_fn(is_in: impl Fn(u8) -> bool) -> Self {
        (0..NUM_LANES as u8).filter(|lane| is_in(*lane)).fold(Self::NONE, Self::with)
    }

    /// The first `count` lanes.
    pub fn first(count: usize) -> Self {
        Self::from_fn(|lane| usize::from(lane) < count)
    }

    /// The set with `lane` added.
    pub fn with(self, lane: u8) -> Self {
        debug_assert!(usize::from(lane) < NUM_LANES, "expected a lane below {NUM_LANES}, got {lane}");
        Self(self.0 | 1 << lane)
    }

    /// Whether the set contains `lane`.
    pub fn contains(self, lane: u8) -> bool {
        usize::from(lane) < NUM_LANES && self.0 >> lane & 1 == 1
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lanes in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..NUM_LANES as u8).filter(move |lane| self.contains(*lane))
    }
}

impl std::ops::BitOr for Lanes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitAnd for Lanes {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::ops::Not for Lanes {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// The sounding notes, by lane and key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sounding([u128; NUM_LANES]);

impl Sounding {
    /// Nothing sounds.
    pub const NONE: Self = Self([0; NUM_LANES]);

    /// Adds a note.
    pub fn insert(&mut self, lane: u8, key: u8) {
        self.0[usize::from(lane)] |= 1 << key;
    }

    /// Removes a note.
    pub fn remove(&mut self, lane: u8, key: u8) {
        self.0[usize::from(lane)] &= !(1 << key);
    }

    /// Removes all notes of `lane`.
    pub fn clear_lane(&mut self, lane: u8) {
        self.0[usize::from(lane)] = 0;
    }

    /// Whether a note sounds.
    pub fn contains(&self, lane: u8, key: u8) -> bool {
        self.0[usize::from(lane)] >> key & 1 == 1
    }

    /// Whether nothing sounds in `lane`.
    pub fn is_silent(&self, lane: u8) -> bool {
        self.0[usize::from(lane)] == 0
    }

    /// The keys that sound in `lane`, highest first.
    pub fn keys(&self, lane: u8) -> impl Iterator<Item = u8> + use<> {
        let mut left = self.0[usize::from(lane)];
        std::iter::from_fn(move || {
            let key = left.checked_ilog2()? as u8;
            left &= !(1 << key);
            Some(key)
        })
    }

    /// All notes as (lane, key): lane by lane, highest key first.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u8)> {
        (0..NUM_LANES as u8).flat_map(|lane| self.keys(lane).map(move |key| (lane, key)))
    }

    /// The notes that sound after `edges`.
    pub fn after(mut self, edges: &[Edge]) -> Self {
        for edge in edges {
            match *edge {
                Edge::On { lane, key, .. } => self.insert(lane, key),
                Edge::Off { lane, key, .. } => self.remove(lane, key),
            }
        }
        self
    }
}

/// The outcome of a step: its edges, and the notes that sound after them. It has no heap data.
#[derive(Clone, Copy)]
pub struct Decision {
    edges: [Edge; MAX_EDGES],
    len: u8,
    /// The notes that sound at the end of the step, as the model that decided it counts them. They distinguish a lane
    /// that holds a note from one that rests: neither has edges.
    pub sounding: Sounding,
}

impl Decision {
    /// No edges, and no sounding notes.
    pub const SILENCE: Self =
        Self { edges: [Edge::Off { lane: 0, key: 0, tick: 0 }; MAX_EDGES], len: 0, sounding: Sounding::NONE };

    /// No edges; `sounding` continues.
    pub fn holding(sounding: Sounding) -> Self {
        Self { sounding, ..Self::SILENCE }
    }

    /// Inserts an edge in order and updates `sounding`. Returns `false` and drops the edge if the decision is full.
    pub fn push(&mut self, edge: Edge) -> bool {
        debug_assert!(edge.tick() < TICKS_PER_STEP && edge.key() < 128, "{edge:?}");
        let len = usize::from(self.len);
        if len == MAX_EDGES {
            return false;
        }
        let position = self.edges[..len].partition_point(|before| before.order() <= edge.order());
        self.edges.copy_within(position..len, position + 1);
        self.edges[position] = edge;
        self.len += 1;
        let of_note = |other: &&Edge| (other.lane(), other.key()) == (edge.lane(), edge.key());
        let last = self.edges().iter().rev().find(of_note).copied();
        self.sounding = self.sounding.after(last.as_slice());
        true
    }

    /// The edges, sorted by tick, with ends before starts at the same tick.
    pub fn edges(&self) -> &[Edge] {
        &self.edges[..usize::from(self.len)]
    }

    /// The same decision with each edge replaced by `with(edge)`, which must keep its lane and key. What sounds after
    /// the step stays the same.
    pub fn map(&self, with: impl Fn(Edge) -> Edge) -> Self {
        let mut mapped = Self::holding(self.sounding);
        for edge in self.edges() {
            mapped.push(with(*edge));
        }
        mapped.sounding = self.sounding;
        mapped
    }

    /// The keys of the notes that start in `lane`.
    pub fn starts(&self, lane: u8) -> impl Iterator<Item = u8> + '_ {
        self.edges().iter().filter_map(move |edge| match edge {
            Edge::On { lane: on, key, .. } if *on == lane => Some(*key),
            _ => None,
        })
    }
}

impl Default for Decision {
    fn default() -> Self {
        Self::SILENCE
    }
}

impl PartialEq for Decision {
    fn eq(&self, other: &Self) -> bool {
        self.edges() == other.edges() && self.sounding == other.sounding
    }
}

impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sounding: Vec<_> = self.sounding.iter().collect();
        f.debug_struct("Decision").field("edges", &self.edges()).field("sounding", &sounding).finish()
    }
}

/// The player's part of a step. The model decides the other lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Given {
    /// The player's lanes.
    pub lanes: Lanes,
    /// The notes that start, end and sound on these lanes.
    pub notes: Decision,
}

impl Given {
    /// The model decides every lane.
    pub const NOTHING: Self = Self { lanes: Lanes::NONE, notes: Decision::SILENCE };

    /// The player gives every lane, with these notes.
    pub fn all(notes: Decision) -> Self {
        Self { lanes: Lanes::ALL, notes }
    }

    /// Adds a note that the player starts at the beginning of the step.
    pub fn strike(&mut self, lane: u8, key: u8, velocity: u8) {
        self.lanes = self.lanes.with(lane);
        self.notes.push(Edge::On { lane, key, velocity, tick: 0 });
    }

    /// Adds a note that the player holds from an earlier step.
    pub fn hold(&mut self, lane: u8, key: u8) {
        self.lanes = self.lanes.with(lane);
        self.notes.sounding.insert(lane, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(lane: u8, key: u8, tick: u8) -> Edge {
        Edge::On { lane, key, velocity: 0, tick }
    }

    fn off(lane: u8, key: u8, tick: u8) -> Edge {
        Edge::Off { lane, key, tick }
    }

    fn decided(edges: &[Edge]) -> Decision {
        let mut decision = Decision::SILENCE;
        edges.iter().for_each(|edge| assert!(decision.push(*edge)));
        decision
    }

    #[test]
    fn edges_are_sorted_by_tick_with_ends_before_starts() {
        let decision = decided(&[on(1, 60, 12), on(0, 72, 0), off(1, 59, 12), off(0, 71, 0)]);
        assert_eq!(decision.edges(), [off(0, 71, 0), on(0, 72, 0), off(1, 59, 12), on(1, 60, 12)]);
        assert_eq!(decision.sounding.iter().collect::<Vec<_>>(), [(0, 72), (1, 60)]);
        assert_eq!(decision.starts(1).collect::<Vec<_>>(), [60]);
    }

    #[test]
    fn a_repeated_note_ends_and_starts_at_one_tick() {
        let mut sounding = Sounding::NONE;
        sounding.insert(3, 48);
        let mut decision = Decision::holding(sounding);
        decision.push(on(3, 48, 6));
        decision.push(off(3, 48, 6));
        assert_eq!(decision.edges(), [off(3, 48, 6), on(3, 48, 6)]);
        assert!(decision.sounding.contains(3, 48));
    }

    #[test]
    fn all_lanes_and_keys_can_sound() {
        let mut sounding = Sounding::NONE;
        [(15, 127), (15, 0), (0, 64)].iter().for_each(|(lane, key)| sounding.insert(*lane, *key));
        assert_eq!(sounding.keys(15).collect::<Vec<_>>(), [127, 0]);
        sounding.remove(15, 127);
        assert!(!sounding.contains(15, 127) && sounding.contains(15, 0) && sounding.is_silent(1));
        sounding.clear_lane(15);
        assert_eq!(sounding.iter().collect::<Vec<_>>(), [(0, 64)]);
    }

    #[test]
    fn a_full_decision_drops_further_edges() {
        let mut decision = decided(&[on(0, 60, 0); MAX_EDGES]);
        assert!(!decision.push(off(0, 60, 0)));
        assert_eq!((decision.edges().len(), decision.sounding.contains(0, 60)), (MAX_EDGES, true));
    }

    #[test]
    fn lanes_are_a_set() {
        let lanes = Lanes::first(4) & !Lanes::NONE.with(2) | Lanes::NONE.with(15);
        assert_eq!(lanes.iter().collect::<Vec<_>>(), [0, 1, 3, 15]);
        assert!(!lanes.contains(16) && Lanes::NONE.is_empty() && Lanes::ALL.iter().count() == NUM_LANES);
    }
}
