//! One block, in stages: time, discontinuities, the timeline of what happens in it, what goes out.

use std::sync::atomic::Ordering;
use std::time::Instant;

use continuo_model::generate::StepSettings;
use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::prelude::NoteEvent;

use super::cadence::Cadence;
use super::capture::Capture;
use super::events::{MAX_EVENTS, OutEvents};
use super::frozen::Frozen;
use super::glance::ToldTime;
use super::held_notes::{HeldNotes, Owner};
use super::pace::Pace;
use super::player::Passed;
use super::sequencer::{Sequencer, Watch};
use super::transport::{BlockTime, Clock, HostTime, Motion, STEPS_PER_BEAT};
use crate::bridge::{AudioEnd, From, Played, Told};
use crate::params::{Input, Mode};

/// MIDI controllers that end what sounds.
const SUSTAIN_PEDAL: u8 = 64;
const ALL_NOTES_OFF: u8 = 123;
/// Without a transport the music ends this many steps after the last note: harmony, continuation.
const FREE_RUN_STEPS: (i64, i64) = (16, 64);

/// The parameters, as they are at a block's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What the plugin does.
    pub mode: Mode,
    /// Bars that the player has in Respond, and then the network.
    pub respond_bars: i64,
    /// What becomes of the notes that come in.
    pub input: Input,
    /// A loop plays something else each time it comes round.
    pub evolves: bool,
    /// All notes end where this turns on.
    pub panic: bool,
    /// Everything goes through as it is, and nothing is added.
    pub bypass: bool,
    /// The player's voice, 0 = soprano.
    pub voice: usize,
    /// A cadence is asked for where this turns on.
    pub cadence: bool,
    /// The voices that go out.
    pub emit: [bool; NUM_VOICES],
    /// The voices that play the frozen take.
    pub frozen: [bool; NUM_VOICES],
    /// Steps that are decided ahead, 1 to 16.
    pub lookahead_steps: i64,
    /// Samples from a played note to its answer.
    pub reply_delay_samples: u64,
    /// How rows are chosen.
    pub step: StepSettings,
}

/// A block to process.
pub struct Block {
    /// What the host says of time.
    pub host: HostTime,
    /// Length, samples.
    pub frames: usize,
    /// The parameters.
    pub settings: Settings,
    /// The clock at the block's start. It is handed in so that a test decides what real time is.
    pub now: Instant,
    /// What the host says of itself; believed only until it has been measured.
    pub says_offline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The player plays, or nobody.
    Player,
    /// The network plays, from this step on.
    Network(i64),
}

/// All that the audio thread keeps between blocks.
pub struct AudioThread {
    pub(super) sample_rate: f64,
    /// The longest block that the host may ask for, samples.
    max_frames: usize,
    pub(super) watch: Watch,
    pub(super) bridge: AudioEnd,
    pub(super) clock: Clock,
    pub(super) capture: Capture,
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
    /// The step that an early note has answered before it began.
    pub(super) answered_step: Option<i64>,
    pub(super) turn: Turn,
    /// A phrase has been heard that can be continued.
    pub(super) heard: bool,
    /// The step of the last played note.
    pub(super) last_note_step: i64,
    /// The key that each generated voice sounds.
    pub(super) sounding: [Option<u8>; NUM_VOICES],
    pub(super) cadence: Cadence,
    /// Voices of which a row was missed, until their next attack or rest.
    pub(super) missed: [bool; NUM_VOICES],
    /// Rows that have been missed since the last that was there.
    pub(super) misses_in_a_row: u32,
    /// What the host looped over in the last block, song steps, and the counted step on which it would have come round.
    last_loop: (Option<(i64, i64)>, Option<i64>),
    /// Where each of the player's notes went, by [channel][key].
    pub(super) passed_to: [[Option<Passed>; 128]; 16],
    /// The mode, panic and bypass of the last block.
    pub(super) last: (Mode, bool, bool),
    pub(super) pace: Pace,
    /// Time of its own has ended within this block.
    pub(super) free_run_over: bool,
}

impl AudioThread {
    /// Everything is allocated here.
    #[cfg_attr(
        not(test),
        expect(clippy::disallowed_methods, reason = "made on the host's main thread, before anything plays")
    )]
    pub fn new(bridge: AudioEnd, sample_rate: f64, max_frames: usize, watch: Watch) -> Self {
        Self {
            sample_rate,
            max_frames,
            watch,
            bridge,
            clock: Clock::new(sample_rate, max_frames),
            capture: Capture::new(),
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
            answered_step: None,
            turn: Turn::Player,
            heard: false,
            last_note_step: 0,
            sounding: [None; NUM_VOICES],
            cadence: Cadence::default(),
            missed: [false; NUM_VOICES],
            misses_in_a_row: 0,
            last_loop: (None, None),
            passed_to: [[None; 128]; 16],
            last: (Mode::Harmonise, false, false),
            pace: Pace::new(),
            free_run_over: false,
        }
    }

    /// Takes a new sample rate, Hertz, and the length of the longest block, and forgets what was under way.
    pub fn activate(&mut self, sample_rate: f64, max_frames: usize) {
        (self.sample_rate, self.max_frames) = (sample_rate, max_frames);
        self.reset();
    }

    /// The host has silenced everything: forget what was under way.
    pub fn reset(&mut self) {
        self.clock = Clock::new(self.sample_rate, self.max_frames);
        self.pace = Pace::new();
        self.capture.clear();
        self.sequencer.clear(From::Nothing);
        // The host may have silenced what it plays itself; an instrument behind us hears only what we send. The ends go
        // out with the next block.
        self.ledger.end_all(None, self.samples);
        self.sounding = [None; NUM_VOICES];
        self.missed = [false; NUM_VOICES];
        self.misses_in_a_row = 0;
        self.passed_to = [[None; 128]; 16];
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

    /// Processes a block; `send` offers an event to the host and says whether it took it.
    pub fn process(&mut self, block: &Block, mut send: impl FnMut(NoteEvent<()>) -> bool) {
        let end = self.samples + block.frames as u64;
        self.out.begin_block(self.samples, block.frames);
        self.pace.begin_block(block.now, block.frames as f64 / self.sample_rate);
        self.sequencer.take_answers(&mut self.bridge);
        let time = self.begin_time(block);
        self.follow_take(block, &time);
        self.follow_motion(block, &time);
        self.follow_frozen(block, &time);
        let heard = self.play_timeline(block, time);
        self.ledger.send_offs(&mut self.out, end);
        self.out.sort();
        let Self { out, ledger, bridge, .. } = self;
        let beats_per_sample = 1.0 / (time.samples_per_step * STEPS_PER_BEAT);
        let take_beats = self.elapsed_beats + self.take_offset_beats;
        let refused = out.send(ledger, |event, generated| {
            let taken = send(event);
            if taken {
                remember(bridge, &event, generated, take_beats + f64::from(event.timing()) * beats_per_sample);
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
    }

    /// Where a host's block is split, an event on the sample of the split is handed to the part before it: it, and whatever
    /// is said to lie behind the block's end, belongs to the next block's first sample.
    fn carry_over(&mut self, heard: usize) {
        self.input.drain(..heard);
        self.input.iter_mut().for_each(|event| event.subtract_timing(event.timing()));
    }

    /// Stage one: where are we? A note while the transport stands still starts time of its own.
    fn begin_time(&mut self, block: &Block) -> BlockTime {
        let host_runs = self.clock.host_runs(&block.host);
        self.bridge.shared.host_without_time.store(block.host.playing && !host_runs, Ordering::Relaxed);
        if !host_runs && !self.clock.is_free_running() {
            let first_note = self.input.iter().find(|event| starts_a_note(event));
            if let Some(note) = first_note {
                self.clock.start_free_running(note.timing(), &block.host);
            }
        }
        self.clock.begin_block(&block.host, host_runs, block.frames)
    }

    /// Stage two: a start, a jump or a stop ends what sounds, at this very sample, and drops what was planned. So do panic
    /// and, of what is generated, another mode.
    fn follow_motion(&mut self, block: &Block, time: &BlockTime) {
        let settings = &block.settings;
        let (mode, panic, bypass) = std::mem::replace(&mut self.last, (settings.mode, settings.panic, settings.bypass));
        match time.motion {
            Motion::Started | Motion::Jumped => {
                self.heard = time.motion == Motion::Jumped && self.heard;
                self.end_everything(if time.motion == Motion::Jumped { From::Elsewhere } else { From::Nothing });
                // Time of its own begins at nought, with the note, whatever stands before that in the block.
                let first = if self.clock.is_free_running() { 0 } else { i64::MIN };
                self.next_step = ((time.pos_steps - 1e-6).ceil() as i64).max(first);
                self.last_note_step = self.next_step;
            }
            Motion::Halted => {
                self.heard = false;
                self.end_everything(From::Nothing);
            }
            Motion::Continued | Motion::Stopped => {}
        }
        self.follow_loop(time);
        if settings.panic && !panic {
            self.heard = false;
            self.end_everything(From::Here);
            self.silence_channels();
        } else if settings.mode != mode || settings.bypass != bypass {
            self.ledger.end_all(Some(Owner::Generated), self.samples);
            self.drop_plans(From::Here);
        }
        let undecided = self.sequencer.planned_through().max(self.next_step + settings.lookahead_steps) + 1;
        self.cadence.follow(settings.cadence, time, undecided);
    }

    /// Another loop, or none: what was planned past the end of the old one or the new one is planned again.
    fn follow_loop(&mut self, time: &BlockTime) {
        let (loop_steps, next_seam) = (time.loop_steps(), time.next_seam());
        let (before, seam_before) = std::mem::replace(&mut self.last_loop, (loop_steps, next_seam));
        let seam = [seam_before, next_seam].into_iter().flatten().min().filter(|_| before != loop_steps);
        let Some(seam) = seam.map(|seam| seam.max(self.next_step)) else { return };
        if time.motion != Motion::Continued || self.sequencer.planned_through() < seam {
            return;
        }
        match self.turn {
            Turn::Network(first) if first < seam => self.sequencer.forget_from(seam),
            Turn::Player if self.last.0 == Mode::Harmonise => self.sequencer.forget_from(seam),
            // A turn that was to begin or to end there.
            Turn::Network(_) | Turn::Player => {
                self.ledger.end_all(Some(Owner::Generated), self.samples);
                self.drop_plans(From::Here);
            }
        }
    }

    /// Tells instruments to let go of what a pedal or they themselves hold.
    fn silence_channels(&mut self) {
        for channel in 0..16 {
            for cc in [SUSTAIN_PEDAL, ALL_NOTES_OFF] {
                self.pass(NoteEvent::MidiCC { timing: 0, channel, cc, value: 0.0 });
            }
        }
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

    fn end_everything(&mut self, from: From) {
        self.ledger.end_all(None, self.samples);
        self.capture.clear();
        self.drop_plans(from);
    }

    pub(super) fn drop_plans(&mut self, from: From) {
        self.sequencer.clear(from);
        self.sounding = [None; NUM_VOICES];
        self.missed = [false; NUM_VOICES];
        self.answered_step = None;
        self.turn = Turn::Player;
        self.cadence.clear();
    }

    /// Stage three: what is played, the boundaries of steps, and rows that are due, in order of time. Gives how
    /// many events were heard.
    fn play_timeline(&mut self, block: &Block, mut time: BlockTime) -> usize {
        let frames = block.frames as i64;
        let runs = matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Continued);
        self.free_run_over = false;
        let mut heard = 0;
        loop {
            let input = self.input.get(heard).map(|event| i64::from(event.timing()));
            let input = input.filter(|timing| *timing < frames).unwrap_or(i64::MAX);
            let step =
                if runs && !self.free_run_over { time.sample_of(self.next_step as f64).max(0) } else { i64::MAX };
            let due = self.sequencer.next_due().map_or(i64::MAX, |at| at.saturating_sub(self.samples) as i64);
            let frozen = self.next_frozen(&time);
            // At one sample: first what is played, as it may change what follows; then the step; then what is due; then what
            // is frozen.
            if input <= step && input <= due && input <= frozen && input < i64::MAX {
                let event = self.input[heard];
                heard += 1;
                if self.free_run_over && starts_a_note(&event) {
                    time = self.free_run_again(block, event.timing());
                }
                self.on_input(block, &time, event);
            } else if step <= due && step <= frozen && step < frames {
                self.on_step(block, &time, self.samples + step as u64);
                self.next_step += 1;
            } else if due <= frozen && due < frames {
                self.on_due(block, self.samples + due.max(0) as u64);
            } else if frozen < frames {
                self.on_frozen(block, self.samples + frozen as u64);
            } else {
                return heard;
            }
        }
    }

    /// Time of its own has ended in this block, and a note begins it anew.
    fn free_run_again(&mut self, block: &Block, timing: u32) -> BlockTime {
        self.free_run_over = false;
        (self.next_step, self.last_note_step) = (0, 0);
        self.clock.start_free_running(timing, &block.host);
        let time = self.clock.begin_block(&block.host, false, block.frames);
        self.follow_take(block, &time);
        time
    }

    /// A step begins: what was played before its cut-off decides the step that lies the lookahead away.
    fn on_step(&mut self, block: &Block, time: &BlockTime, at: u64) {
        let step = self.next_step;
        if time.place(step).is_seam {
            // The notes of the loop's last step end with it; what its first step holds is started anew. But an early note
            // has been answered for the first step already.
            if self.answered_step != Some(step) {
                self.ledger.end_all(Some(Owner::Generated), at);
                self.sounding = [None; NUM_VOICES];
                self.missed = [false; NUM_VOICES];
            }
            self.frozen_seam(block, time, step, at);
            self.tell_seam(time, step, at);
        }
        if !block.settings.bypass && !self.frozen.is_all() {
            match block.settings.mode {
                Mode::Harmonise => self.on_harmonise_step(block, time, step, at),
                Mode::Continue | Mode::Respond | Mode::Free => self.on_turn_step(block, time, step, at),
            }
        }
        self.capture.forget_before(step - 1);
        self.end_free_run(block, step, at);
    }

    /// Without a transport the music ends some time after the last note.
    fn end_free_run(&mut self, block: &Block, step: i64, at: u64) {
        let (harmony, continuation) = FREE_RUN_STEPS;
        let limit = if block.settings.mode == Mode::Harmonise { harmony } else { continuation };
        let over = step - self.last_note_step > limit && !self.capture.is_holding();
        if self.clock.is_free_running() && over {
            self.clock.stop_free_running();
            self.free_run_over = true;
            self.heard = false;
            self.ledger.end_all(Some(Owner::Generated), at);
            self.capture.clear();
            self.drop_plans(From::Nothing);
        }
    }
}

fn starts_a_note(event: &NoteEvent<()>) -> bool {
    matches!(event, NoteEvent::NoteOn { velocity, .. } if *velocity > 0.0)
}

/// Tells the worker what has gone out, for the take.
fn remember(bridge: &mut AudioEnd, event: &NoteEvent<()>, generated: bool, take_beats: f64) {
    let (channel, key, velocity) = match *event {
        NoteEvent::NoteOn { channel, key, velocity, .. } => (channel, key, velocity),
        NoteEvent::NoteOff { channel, key, .. } => (channel, key, 0.0),
        _ => return,
    };
    if let (Some(channel), Some(key)) = (channel.number(), key.number()) {
        bridge.tell(Told::Played(Played { take_beats, heard_beats: take_beats, channel, key, velocity, generated }));
    }
}
