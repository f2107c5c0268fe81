//! Edges within a step that wait for their samples. Audio thread.

use continuo_model::decision::Edge;

use crate::audio_thread::output::Lag;
use crate::audio_thread::positions::Sample;

/// The most edges that wait: two full decisions.
const CAPACITY: usize = 64;

/// An edge within a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaterEdge {
    /// The sample at which it plays.
    pub at: Sample,
    /// How late that is.
    pub lag: Lag,
    /// The edge.
    pub edge: Edge,
}

/// Waiting edges, sorted by time.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    edges: [Option<LaterEdge>; CAPACITY],
    count: usize,
}

impl Default for Later {
    fn default() -> Self {
        Self { edges: [None; CAPACITY], count: 0 }
    }
}

impl Later {
    fn list(&self) -> impl Iterator<Item = LaterEdge> + '_ {
        self.edges[..self.count].iter().flatten().copied()
    }

    /// The sample of the next edge.
    pub fn next(&self) -> Option<Sample> {
        self.list().next().map(|later| later.at)
    }

    /// Adds an edge after those at its sample or earlier; drops it if the list is full.
    pub fn push(&mut self, later: LaterEdge) {
        if self.count < CAPACITY {
            let index = self.list().take_while(|before| before.at <= later.at).count();
            self.edges.copy_within(index..self.count, index + 1);
            self.edges[index] = Some(later);
            self.count += 1;
        }
    }

    /// Removes the first edge and returns it, if it is due by sample `at`.
    pub fn pop(&mut self, at: Sample) -> Option<LaterEdge> {
        let index = self.list().position(|later| later.at <= at)?;
        self.remove(index)
    }

    /// Removes the first edge of `lane` and returns it.
    pub fn pop_lane(&mut self, lane: u8) -> Option<LaterEdge> {
        let index = self.list().position(|later| later.edge.lane() == lane)?;
        self.remove(index)
    }

    fn remove(&mut self, index: usize) -> Option<LaterEdge> {
        let later = self.edges[index];
        self.edges.copy_within(index + 1..self.count, index);
        self.count -= 1;
        later
    }
}
