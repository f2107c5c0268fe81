//! Decisions: the notes that start and end in a step, on lanes. What the plugin speaks of; how a network spells a step
//! stays inside its kind.

mod keys;

pub use keys::Keys;

/// Lanes: musical parts, each sent on the MIDI channel of its number.
pub const NUM_LANES: usize = 16;
/// Positions within a step, 96 in a quarter note: exact for 32nds and for triplets.
pub const TICKS_PER_STEP: u8 = 24;
/// Edges in a decision at the most: ten fingers lift and strike, and there is room for more.
pub const MAX_EDGES: usize = 32;

/// A note's start or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// A note starts.
    On {
        /// The part, below [`NUM_LANES`].
        lane: u8,
        /// MIDI key.
        key: u8,
        /// 1 to 127; 0 where the model leaves the loudness open.
        velocity: u8,
        /// Position within the step, below [`TICKS_PER_STEP`].
        tick: u8,
    },
    /// A note ends.
    Off {
        /// The part, below [`NUM_LANES`].
        lane: u8,
        /// MIDI key.
        key: u8,
        /// Position within the step, below [`TICKS_PER_STEP`].
        tick: u8,
    },
}

impl Edge {
    /// The part that the note belongs to.
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

    /// Position within the step.
    pub fn tick(self) -> u8 {
        match self {
            Self::On { tick, .. } | Self::Off { tick, .. } => tick,
        }
    }

    /// Edges stand in this order: by position, and at one position ends before starts.
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

    /// Those lanes for which `is_in` is true.
    pub fn from_fn(is_in: impl Fn(u8) -> bool) -> Self {
        (0..NUM_LANES as u8).filter(|lane| is_in(*lane)).fold(Self::NONE, Self::with)
    }

    /// The first `count` lanes.
    pub fn first(count: usize) -> Self {
        Self::from_fn(|lane| usize::from(lane) < count)
    }

    /// These lanes and `lane`.
    pub fn with(self, lane: u8) -> Self {
        debug_assert!(usize::from(lane) < NUM_LANES, "there is no lane {lane}");
        Self(self.0 | 1 << lane)
    }

    /// Whether `lane` is one of them.
    pub fn contains(self, lane: u8) -> bool {
        usize::from(lane) < NUM_LANES && self.0 >> lane & 1 == 1
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lanes, in order.
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

/// The notes that sound, by lane and key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sounding([u128; NUM_LANES]);

impl Sounding {
    /// Nothing sounds.
    pub const NONE: Self = Self([0; NUM_LANES]);

    /// A note sounds.
    pub fn insert(&mut self, lane: u8, key: u8) {
        self.0[usize::from(lane)] |= 1 << key;
    }

    /// A note sounds no more.
    pub fn remove(&mut self, lane: u8, key: u8) {
        self.0[usize::from(lane)] &= !(1 << key);
    }

    /// Nothing sounds in `lane` any more.
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

    /// The keys that sound in `lane`, the highest first.
    pub fn keys(&self, lane: u8) -> impl Iterator<Item = u8> + use<> {
        let mut left = self.0[usize::from(lane)];
        std::iter::from_fn(move || {
            let key = left.checked_ilog2()? as u8;
            left &= !(1 << key);
            Some(key)
        })
    }

    /// All notes: lane and key, by lane, the highest first.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u8)> {
        (0..NUM_LANES as u8).flat_map(|lane| self.keys(lane).map(move |key| (lane, key)))
    }

    /// What sounds after `edges`.
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

/// What happens in a step: edges in order, and what sounds after them. Copy, without heap.
#[derive(Clone, Copy)]
pub struct Decision {
    edges: [Edge; MAX_EDGES],
    len: u8,
    /// What sounds at the step's end, as whoever decided it has heard. So a lane without edges is told apart: one that
    /// holds sounds, one that rests does not.
    pub sounding: Sounding,
}

impl Decision {
    /// Nothing happens, and nothing sounds.
    pub const SILENCE: Self =
        Self { edges: [Edge::Off { lane: 0, key: 0, tick: 0 }; MAX_EDGES], len: 0, sounding: Sounding::NONE };

    /// Nothing happens; `sounding` goes on.
    pub fn holding(sounding: Sounding) -> Self {
        Self { sounding, ..Self::SILENCE }
    }

    /// Adds an edge, in its order, and what comes of it. `false` where there is no room: the edge is left out.
    pub fn push(&mut self, edge: Edge) -> bool {
        debug_assert!(edge.tick() < TICKS_PER_STEP && edge.key() < 128, "{edge:?}");
        let len = usize::from(self.len);
        if len == MAX_EDGES {
            return false;
        }
        let place = self.edges[..len].partition_point(|before| before.order() <= edge.order());
        self.edges.copy_within(place..len, place + 1);
        self.edges[place] = edge;
        self.len += 1;
        let of_note = |other: &&Edge| (other.lane(), other.key()) == (edge.lane(), edge.key());
        let last = self.edges().iter().rev().find(of_note).copied();
        self.sounding = self.sounding.after(last.as_slice());
        true
    }

    /// The edges, in order: by position, and at one position ends before starts.
    pub fn edges(&self) -> &[Edge] {
        &self.edges[..usize::from(self.len)]
    }

    /// The keys that start in `lane`.
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

/// What the player does in a step. The lanes that are not the player's are the model's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Given {
    /// The player's lanes.
    pub lanes: Lanes,
    /// What starts, ends and sounds on them.
    pub notes: Decision,
}

impl Given {
    /// Every lane is the model's.
    pub const NOTHING: Self = Self { lanes: Lanes::NONE, notes: Decision::SILENCE };

    /// All of a decision is the player's: it is heard as it was played.
    pub fn all(notes: Decision) -> Self {
        Self { lanes: Lanes::ALL, notes }
    }

    /// The player starts a note, for as long as nothing else is said.
    pub fn strike(&mut self, lane: u8, key: u8, velocity: u8) {
        self.lanes = self.lanes.with(lane);
        self.notes.push(Edge::On { lane, key, velocity, tick: 0 });
    }

    /// The player goes on with a note.
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
    fn edges_stand_in_order_of_time_and_ends_before_starts() {
        let decision = decided(&[on(1, 60, 12), on(0, 72, 0), off(1, 59, 12), off(0, 71, 0)]);
        assert_eq!(decision.edges(), [off(0, 71, 0), on(0, 72, 0), off(1, 59, 12), on(1, 60, 12)]);
        assert_eq!(decision.sounding.iter().collect::<Vec<_>>(), [(0, 72), (1, 60)]);
        assert_eq!(decision.starts(1).collect::<Vec<_>>(), [60]);
    }

    #[test]
    fn a_note_struck_again_ends_and_sounds() {
        let mut sounding = Sounding::NONE;
        sounding.insert(3, 48);
        let mut decision = Decision::holding(sounding);
        decision.push(on(3, 48, 6));
        decision.push(off(3, 48, 6));
        assert_eq!(decision.edges(), [off(3, 48, 6), on(3, 48, 6)]);
        assert!(decision.sounding.contains(3, 48));
    }

    #[test]
    fn the_ends_of_the_keyboard_sound() {
        let mut sounding = Sounding::NONE;
        [(15, 127), (15, 0), (0, 64)].iter().for_each(|(lane, key)| sounding.insert(*lane, *key));
        assert_eq!(sounding.keys(15).collect::<Vec<_>>(), [127, 0]);
        sounding.remove(15, 127);
        assert!(!sounding.contains(15, 127) && sounding.contains(15, 0) && sounding.is_silent(1));
        sounding.clear_lane(15);
        assert_eq!(sounding.iter().collect::<Vec<_>>(), [(0, 64)]);
    }

    #[test]
    fn an_edge_too_many_is_left_out() {
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
