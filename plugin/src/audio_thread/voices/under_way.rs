//! The step in progress: its edges that have yet to play. Audio thread.

use continuo_model::decision::{Decision, Edge, Keys, Lanes, TICKS_PER_STEP};

use crate::audio_thread::output::Lag;
use crate::audio_thread::positions::{CountedStep, Sample};
use crate::audio_thread::transport::BlockTime;

/// A step whose start has been played, with its remaining edges.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepUnderWay {
    decision: Decision,
    /// The lanes to play.
    lanes: Lanes,
    step: CountedStep,
    /// The delay of every edge after its position, in samples.
    delay: u64,
    /// No edge plays before this sample.
    not_before: Sample,
    /// How many of the decision's edges have been played.
    num_played: usize,
}

impl StepUnderWay {
    /// A step whose edges at its start have been played. The others play `delay` samples after their positions, but not
    /// before sample `not_before`.
    pub fn new(decision: &Decision, lanes: Lanes, step: CountedStep, delay: u64, not_before: Sample) -> Self {
        let num_played = decision.edges().iter().take_while(|edge| edge.tick() == 0).count();
        Self { decision: *decision, lanes, step, delay, not_before, num_played }
    }

    fn first(&self) -> Option<(usize, Edge)> {
        let edges = self.decision.edges().iter().enumerate().skip(self.num_played);
        edges.map(|(n, edge)| (n, *edge)).find(|(_, edge)| self.lanes.contains(edge.lane()))
    }

    /// The sample of an edge's position, and the sample at which it is due.
    fn samples_of(&self, time: &BlockTime, edge: Edge) -> (Sample, Sample) {
        let position = self.step.position() + f64::from(edge.tick()) / f64::from(TICKS_PER_STEP);
        let nominal = time.sample_of(position);
        (nominal, (nominal + self.delay).max(self.not_before))
    }

    /// The sample of the next edge.
    pub fn next(&self, time: &BlockTime) -> Option<Sample> {
        self.first().map(|(_, edge)| self.samples_of(time, edge).1)
    }

    /// Removes the next edge and returns it with its lag, if it is due by sample `at`.
    pub fn pop(&mut self, time: &BlockTime, at: Sample) -> Option<(Edge, Lag)> {
        let (n, edge) = self.first()?;
        let (nominal, due) = self.samples_of(time, edge);
        if due > at {
            return None;
        }
        self.num_played = n + 1;
        Some((edge, Lag { grid: at - nominal, due: at - due }))
    }

    /// Removes and returns the next edge that still plays when another step begins at sample `at`: any note-off, and a
    /// note-on of a key that the other step holds in its lane (`holds`).
    pub fn pop_last(&mut self, time: &BlockTime, at: Sample, holds: impl Fn(u8) -> Keys) -> Option<(Edge, Lag)> {
        while let Some((n, edge)) = self.first() {
            self.num_played = n + 1;
            let happens = match edge {
                Edge::On { lane, key, .. } => holds(lane).contains(key),
                Edge::Off { .. } => true,
            };
            if happens {
                let (nominal, due) = self.samples_of(time, edge);
                return Some((edge, Lag { grid: at - nominal, due: at - due }));
            }
        }
        None
    }
}
