//! One block, in stages: time, discontinuities, the timeline of what happens in it, what goes out.

use std::sync::atomic::Ordering;

use nice_plug::prelude::NoteEvent;

use super::budget::{BUDGET, Budget};
use super::cadence::Cadence;
use super::controllers::Wheels;
use super::events::{MAX_EVENTS, OutEvents, Taken};
use super::frozen::Frozen;
use super::glance::ToldTime;
use super::hands::Hands;
use super::held_notes::HeldNotes;
use super::pace::Pace;
use super::sequencer::{Sequencer, Watch};
use super::settings::Block;
use super::transport::{Clock, Motion, STEPS_PER_BEAT};
use super::voices::Voices;
use crate::bridge::{AudioEnd, From, Played, Told, microseconds};
use crate::params::Mode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The player plays, or nobody.
    Player,
    /// The network plays from this step on if nobody else does by sample `at`.
    Entering {
        /// The first step of its turn.
        step: i64,
        /// The cut-off.
        at: u64,
    },
    /// The network plays.
    Network {
        /// From this step on.
        first: i64,
        /// The step on which its turn ends, once that is planned.
        end: Option<i64>,
    },
}

/// All that the audio thread keeps between blocks.
pub struct AudioThread {
    pub(super) sample_rate: f64,
    /// The longest block that the host may ask for, samples.
    max_frames: usize,
    pub(super) watch: Watch,
    pub(super) bridge: AudioEnd,
    pub(super) clock: Clock,
    pub(super) hands: Hands,
    pub(super) wheels: Wheels,
    pub(super) budget: &'static Budget,
    pub(super) sequencer: Sequencer,
    pub(super) frozen: Frozen,
    pub(super) ledger: HeldNotes,
    pub(super) out: OutEvents,
    pub(super) input: Vec<NoteEvent<()>>,
    /// Samples processed since activation.
    pub(super) samples: u64,
    /// Beats that have gone by, whatever the transport did.
    pub(super) elapsed_beats: f64,
    /// Place in the take less elapsed beats.
    pub(super) take_offset_beats: f64,
    /// Place in the song less that in the take, as of the last block in which time ran.
    pub(super) song_offset_beats: f64,
    pub(super) told_time: ToldTime,
    /// The step whose boundary comes next.
    pub(super) next_step: i64,
    /// The first step after the last start or jump.
    pub(super) first_step: Option<i64>,
    /// The last step that has been answered between steps.
    pub(super) answered_step: Option<i64>,
    pub(super) turn: Turn,
    /// A phrase has been heard that can be continued.
    pub(super) heard: bool,
    /// The step of the last played note.
    pub(super) last_note_step: i64,
    pub(super) voices: Voices,
    /// Where voices move that could not move with an answer: the sample, and the step.
    pub(super) catch_up_at: Option<(u64, i64)>,
    pub(super) cadence: Cadence,
    /// Rows that have been missed since the last that was there.
    pub(super) misses_in_a_row: u32,
    /// What the host looped over in the last block, song steps, and the counted step on which it would have come round.
    pub(super) last_loop: (Option<(i64, i64)>, Option<i64>),
    /// When a render was given up last, microseconds as the bridge counts them, and whether that was in this block.
    pub(super) gave_up_us: u64,
    pub(super) render_failed: bool,
    /// The mode and bypass of the last block.
    pub(super) last: (Mode, bool),
    pub(super) pace: Pace,
    /// Time of its own has ended within this block.
    pub(super) free_run_over: bool,
    /// `process` has panicked.
    pub(super) has_failed: bool,
    /// A test lets it panic after so many blocks.
    #[cfg(debug_assertions)]
    pub fails_in: Option<u64>,
}

impl AudioThread {
    /// Everything is allocated here.
    #[cfg_attr(
        not(test),
        expect(clippy::disallowed_methods, reason = "made on the host's main thread, before anything plays")
    )]
    pub fn new(bridge: AudioEnd, sample_rate: f64, max_frames: usize, watch: Watch) -> Self {
        // The first call fixes the moment from which time is counted.
        microseconds(watch());
        Self {
            sample_rate,
            max_frames,
            watch,
            bridge,
            clock: Clock::new(sample_rate, max_frames),
            hands: Hands::new(sample_rate),
            wheels: Wheels::new(),
            budget: &BUDGET,
            sequencer: Sequencer::new(),
            frozen: Frozen::new(),
            ledger: HeldNotes::new(),
            out: OutEvents::new(),
            input: Vec::with_capacity(MAX_EVENTS),
            samples: 0,
            elapsed_beats: 0.0,
            take_offset_beats: 0.0,
            song_offset_beats: 0.0,
            told_time: ToldTime::default(),
            next_step: 0,
            first_step: None,
            answered_step: None,
            turn: Turn::Player,
            heard: false,
            last_note_step: 0,
            voices: Voices::default(),
            catch_up_at: None,
            cadence: Cadence::default(),
            misses_in_a_row: 0,
            last_loop: (None, None),
            gave_up_us: 0,
            render_failed: false,
            last: (Mode::Harmonise, false),
            pace: Pace::new(),
            free_run_over: false,
            has_failed: false,
            #[cfg(debug_assertions)]
            fails_in: None,
        }
    }

    /// Takes a new sample rate, Hertz, and the length of the longest block, and forgets what was under way.
    pub fn activate(&mut self, sample_rate: f64, max_frames: usize) {
        (self.sample_rate, self.max_frames) = (sample_rate, max_frames);
        self.pace = Pace::new();
        self.reset();
    }

    /// The host has silenced everything: forget what was under way.
    pub fn reset(&mut self) {
        self.clock = Clock::new(self.sample_rate, self.max_frames);
        // Note-offs and pedals may be lost meanwhile: nobody knows what is held.
        self.tell_held_ended();
        self.hands = Hands::new(self.sample_rate);
        self.wheels.forget_input();
        self.sequencer.clear(From::Nothing);
        // The host may have silenced what it plays itself; an instrument behind us hears only what we send. The ends go
        // out with the next block.
        self.ledger.end_all(None, self.samples, 1);
        self.voices.clear();
        self.catch_up_at = None;
        self.misses_in_a_row = 0;
        self.input.clear();
        self.turn = Turn::Player;
        self.heard = false;
        self.answered_step = None;
    }

    /// What goes out in this block, in order; valid after [`Self::process`].
    pub fn out(&self) -> &OutEvents {
        &self.out
    }

    /// Takes an input event for the coming block; one too many is dropped and counted.
    pub fn hear(&mut self, event: NoteEvent<()>) {
        if self.input.len() < MAX_EVENTS {
            self.input.push(event);
        } else {
            self.count_refused(1);
        }
    }

    /// Processes a block; `send` offers an event to the host and says whether it took it. `false` if it renders and
    /// notes are missing, as no worker of the process has finished a step for two seconds.
    pub fn process(&mut self, block: &Block, mut send: impl FnMut(NoteEvent<()>) -> bool) -> bool {
        if block.frames == 0 {
            // What happens in no time happens at the next block's first sample.
            self.carry_over(0);
            return true;
        }
        let end = self.samples + block.frames as u64;
        self.render_failed = false;
        self.out.begin_block(self.samples, block.frames);
        self.pace.begin_block(block.now, block.frames as f64 / self.sample_rate);
        self.bridge.shared.block_ms.store(self.pace.block().as_secs_f32() * 1e3, Ordering::Relaxed);
        self.hands.set_by(block.settings.by_voice());
        self.sequencer.take_answers(&mut self.bridge);
        let time = self.begin_time(block);
        self.bridge.shared.time_runs.store(time.runs(), Ordering::Relaxed);
        if !time.runs() || block.settings.mode != Mode::Harmonise || block.settings.bypass {
            self.bridge.shared.plays_all_voices.store(false, Ordering::Relaxed);
        }
        if matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Halted) {
            // What was played till now is of the take that ends.
            self.hands.close_chord();
            self.tell_chord(block.settings.keeps_voices());
        }
        self.follow_take(block, &time);
        self.follow_motion(block, &time);
        self.follow_frozen(block, &time);
        self.settle_wheels();
        self.play_overdue(block, &time, self.samples);
        let heard = self.play_timeline(block, time);
        self.ledger.send_offs(&mut self.out, end);
        self.out.sort();
        let Self { out, ledger, bridge, .. } = self;
        let beats_per_sample = 1.0 / (time.samples_per_step * STEPS_PER_BEAT);
        let take_beats = self.elapsed_beats + self.take_offset_beats;
        let refused = out.send(ledger, |event, about| {
            let taken = send(event);
            // The player's notes are told once it is known which voices they are.
            if let Some(about) = about.filter(|about| taken && about.generated) {
                remember(bridge, &event, about, take_beats, beats_per_sample);
            }
            taken
        });
        self.show(block, &time, self.elapsed_beats);
        let beats = block.frames as f64 * beats_per_sample;
        self.elapsed_beats += beats;
        self.stand_still(&time, beats);
        self.count_refused(refused);
        self.carry_over(heard);
        self.samples = end;
        self.bridge.wake();
        !self.render_failed
    }

    /// Where a host's block is split, an event on the sample of the split is handed to the part before it: it, and
    /// whatever is said to lie behind the block's end, belongs to the next block's first sample.
    fn carry_over(&mut self, heard: usize) {
        self.input.drain(..heard);
        self.input.iter_mut().for_each(|event| event.subtract_timing(event.timing()));
    }

    /// Counts events that the host or a full list of events turned away.
    pub(super) fn count_refused(&self, events: u64) {
        if events > 0 {
            self.bridge.shared.refused.fetch_add(events, Ordering::Relaxed);
        }
    }

    pub(super) fn pass(&mut self, event: NoteEvent<()>) {
        if !self.out.pass(event) {
            self.count_refused(1);
        }
    }
}

/// Tells the worker what has gone out, for the take.
fn remember(bridge: &mut AudioEnd, event: &NoteEvent<()>, about: Taken, block_beats: f64, beats_per_sample: f64) {
    let (channel, key, velocity) = match *event {
        NoteEvent::NoteOn { channel, key, velocity, .. } => (channel, key, velocity),
        NoteEvent::NoteOff { channel, key, .. } => (channel, key, 0.0),
        _ => return,
    };
    let beats = |lag: i64| block_beats + (f64::from(event.timing()) - lag as f64) * beats_per_sample;
    let (take_beats, heard_beats) = (beats(about.lag.grid), beats(about.lag.due));
    if let (Some(channel), Some(key)) = (channel.number(), key.number()) {
        let generated = about.generated;
        bridge.tell(Told::Played(Played { take_beats, heard_beats, channel, key, velocity, generated }));
    }
}
