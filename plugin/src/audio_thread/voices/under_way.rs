//! The step under way: the edges within it that have yet to be played. Audio thread.

use continuo_model::decision::{Decision, Edge, Keys, Lanes, TICKS_PER_STEP};

use crate::audio_thread::output::Lag;
use crate::audio_thread::positions::{CountedStep, Sample};
use crate::audio_thread::transport::BlockTime;

/// A step whose start has been played, with its remaining edges.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepUnderWay {
    decision: Decision,
    /// The lanes that play.
    lanes: Lanes,
    step: CountedStep,
    /// How many samples after its position everything in the step sounds.
    delay: u64,
    /// The first sample at which anything in the step may sound.
    not_before: Sample,
    /// How many of its edges have been played.
    num_played: usize,
}

impl StepUnderWay {
    /// The edges within a step, each `delay` samples after its position, but not before the sample `not_before`.
    pub fn new(decision: &Decision, lanes: Lanes, step: CountedStep, delay: u64, not_before: Sample) -> Self {
        let num_played = decision.edges().iter().take_while(|edge| edge.tick() == 0).count();
        Self { decision: *decision, lanes, step, delay, not_before, num_played }
    }

    fn first(&self) -> Option<(usize, Edge)> {
        let edges = self.decision.edges().iter().enumerate().skip(self.num_played);
        edges.map(|(n, edge)| (n, *edge)).find(|(_, edge)| self.lanes.contains(edge.lane()))
    }

    /// The sample of an edge's position, and the sample at which the edge is due.
    fn samples_of(&self, time: &BlockTime, edge: Edge) -> (Sample, Sample) {
        let position = self.step.position() + f64::from(edge.tick()) / f64::from(TICKS_PER_STEP);
        let nominal = time.sample_of(position);
        (nominal, (nominal + self.delay).max(self.not_before))
    }

    /// The sample of the next edge.
    pub fn next(&self, time: &BlockTime) -> Option<Sample> {
        self.first().map(|(_, edge)| self.samples_of(time, edge).1)
    }

    /// Takes the next edge if it is due by sample `at`, with its lag at that sample.
    pub fn pop(&mut self, time: &BlockTime, at: Sample) -> Option<(Edge, Lag)> {
        let (n, edge) = self.first()?;
        let (nominal, due) = self.samples_of(time, edge);
        if due > at {
            return None;
        }
        self.num_played = n + 1;
        Some((edge, Lag { grid: at - nominal, due: at - due }))
    }

    /// Takes the next edge that is still played when another step begins at sample `at`: every end of a note, and the
    /// starts of notes that the other step holds, by lane.
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
