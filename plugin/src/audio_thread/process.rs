//! One block, in stages: time, discontinuities, the timeline of what happens in it, what goes out.

use std::sync::atomic::Ordering;
use std::time::Instant;

use continuo_model::generate::StepSettings;
use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::prelude::NoteEvent;

use super::budget::{BUDGET, Budget};
use super::cadence::Cadence;
use super::controllers::{ALL_NOTES_OFF, SUSTAIN_PEDAL, Wheels};
use super::events::{MAX_EVENTS, OutEvents, Taken};
use super::frozen::Frozen;
use super::glance::ToldTime;
use super::hands::{ByVoice, Hands};
use super::held_notes::{HeldNotes, Owner};
use super::pace::Pace;
use super::sequencer::{Sequencer, Watch};
use super::transport::{BlockTime, Clock, HostTime, Motion, STEPS_PER_BEAT};
use super::voices::Voices;
use crate::bridge::{AudioEnd, From, Played, Told, microseconds};
use crate::params::{Input, Mode};

/// Notes struck within this time of the first are one chord, seconds; within the reply delay, if that is shorter.
pub const CHORD_SECONDS: f64 = 0.025;
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
    /// The lowest and the highest key that are heard.
    pub hear_keys: (u8, u8),
    /// The input channel that is heard, from 0; `None` for all.
    pub hear_channel: Option<u8>,
    /// The network may begin its turn on any beat, not on bars alone.
    pub enter_on_beat: bool,
    /// A loop plays something else each time it comes round.
    pub evolves: bool,
    /// Panic has been pressed: all notes end.
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
    /// Samples within which notes are one chord.
    pub chord_window_samples: u64,
    /// How rows are chosen.
    pub step: StepSettings,
}

impl Settings {
    /// Whether a channel, and a key of it, is meant for us.
    pub fn hears(&self, channel: u8, key: Option<u8>) -> bool {
        let (from, to) = self.hear_keys;
        let is_voice = self.input != Input::ByChannel || usize::from(channel) < NUM_VOICES;
        is_voice
            && self.hear_channel.is_none_or(|heard| heard == channel)
            && key.is_none_or(|key| (from..=to).contains(&key))
    }

    /// How the player's keys become voices.
    fn by_voice(&self) -> ByVoice {
        if self.input == Input::ByChannel { ByVoice::Channel } else { ByVoice::Dealt(self.voice) }
    }

    /// Whether what is played is kept as voices, not under the channel that it came on.
    fn keeps_voices(&self) -> bool {
        !self.bypass && self.input != Input::AsItIs
    }
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

/// What happens next in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Hands,
    Input,
    Entry,
    Step,
    Due,
    CatchUp,
    Frozen,
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
    last_loop: (Option<(i64, i64)>, Option<i64>),
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
        self.wheels = Wheels::new();
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

    /// Processes a block; `send` offers an event to the host and says whether it took it. `false` if it renders and notes are missing,
    /// as no worker of the process has finished a step for two seconds.
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
        if matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Halted) {
            // What was played till now is of the take that ends.
            self.hands.close_chord();
            self.tell_chord(block.settings.keeps_voices());
        }
        self.follow_take(block, &time);
        self.follow_motion(block, &time);
        self.follow_frozen(block, &time);
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
            let first_note = self.input.iter().find(|event| starts_a_note(event, &block.settings));
            if block.host.playing && self.hands.is_holding() {
                // It says that it plays, and its position does not move: what is held goes on in time of its own.
                self.clock.start_free_running(0, &block.host);
            } else if let Some(note) = first_note {
                self.clock.start_free_running(note.timing(), &block.host);
            }
        }
        self.clock.begin_block(&block.host, host_runs, block.frames)
    }

    /// Stage two: a start, a jump or a stop ends what sounds, at this very sample, and drops what was planned. So do panic
    /// and, of what is generated, another mode.
    fn follow_motion(&mut self, block: &Block, time: &BlockTime) {
        let settings = &block.settings;
        let (mode, bypass) = std::mem::replace(&mut self.last, (settings.mode, settings.bypass));
        match time.motion {
            Motion::Started | Motion::Jumped => {
                self.heard = time.motion == Motion::Jumped && self.heard;
                if time.host_stops {
                    // And a note starts time of its own in the same block.
                    self.end_everything(From::Nothing);
                }
                // The player's notes end when the player ends them.
                self.ledger.end_all(Some(Owner::Generated), self.samples, 1);
                self.ledger.end_all(Some(Owner::Frozen), self.samples, 1);
                self.voices.clear();
                self.drop_plans(if time.motion == Motion::Jumped { From::Elsewhere } else { From::Nothing });
                // Free-running time starts at 0, at the note's sample; earlier samples of the block do not count.
                let first = if self.clock.is_free_running() { 0 } else { i64::MIN };
                self.next_step = ((time.pos_steps - 1e-6).ceil() as i64).max(first);
                self.first_step = Some(self.next_step);
                self.last_note_step = self.next_step;
                self.hands.go_to(self.next_step);
                self.tell_held_again(self.elapsed_beats + self.take_offset_beats);
            }
            Motion::Halted => {
                self.heard = false;
                self.end_everything(From::Nothing);
            }
            Motion::Continued | Motion::Stopped => {}
        }
        self.follow_loop(time);
        if settings.panic {
            self.heard = false;
            self.end_everything(From::Here);
            self.silence_channels();
        } else if settings.mode != mode || settings.bypass != bypass {
            self.ledger.end_all(Some(Owner::Generated), self.samples, 1);
            self.drop_plans(From::Here);
        }
        if time.new_metre
            && settings.mode == Mode::Respond
            && let Turn::Network { end, .. } = &mut self.turn
        {
            // Its bars end elsewhere now.
            *end = None;
            self.sequencer.forget_from(self.next_step);
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
            Turn::Network { first, .. } if first < seam => {
                self.turn = Turn::Network { first, end: None };
                self.sequencer.forget_from(seam);
            }
            Turn::Player if self.last.0 == Mode::Harmonise => self.sequencer.forget_from(seam),
            // A turn that was to begin or to end there.
            Turn::Network { .. } | Turn::Entering { .. } | Turn::Player => {
                self.ledger.end_all(Some(Owner::Generated), self.samples, 1);
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
        self.ledger.end_all(None, self.samples, 1);
        self.tell_held_ended();
        self.hands.clear();
        self.drop_plans(from);
    }

    pub(super) fn drop_plans(&mut self, from: From) {
        self.sequencer.clear(from);
        self.voices.end_all();
        self.catch_up_at = None;
        self.answered_step = None;
        self.turn = Turn::Player;
        self.cadence.clear();
    }

    /// Stage three: what is played, what time alone changes, the boundaries of steps, and rows that are due, in order of time. Gives how
    /// many events were heard.
    fn play_timeline(&mut self, block: &Block, mut time: BlockTime) -> usize {
        let runs = time.runs();
        self.free_run_over = false;
        let mut heard = 0;
        loop {
            let (at, next) = self.next_of(block, &time, runs, heard);
            if at >= block.frames as i64 {
                return heard;
            }
            let at = self.samples + at.max(0) as u64;
            match next {
                Next::Hands => {
                    let parted = self.hands.on_timer(at);
                    self.tell_chord(block.settings.keeps_voices());
                    if parted && block.settings.mode == Mode::Harmonise && !block.settings.bypass {
                        self.replan(block, &time);
                    }
                }
                Next::Input => {
                    let timing = self.input[heard].timing();
                    let count = self.input[heard..].iter().take_while(|event| event.timing() == timing).count();
                    let events = heard..heard + count;
                    heard += count;
                    let starts = |event: &NoteEvent<()>| starts_a_note(event, &block.settings);
                    if self.free_run_over && self.input[events.clone()].iter().any(starts) {
                        time = self.free_run_again(block, timing);
                    }
                    self.on_input(block, &time, events);
                }
                Next::Entry => {
                    if let Turn::Entering { step, .. } = self.turn {
                        self.enter(block, &time, step, at);
                    }
                }
                Next::Step => {
                    self.on_step(block, &time, at);
                    self.next_step += 1;
                }
                Next::Due => self.on_due(block, &time, at),
                Next::CatchUp => self.catch_up(&time, at),
                Next::Frozen => self.on_frozen(block, at),
            }
        }
    }

    /// What happens next in the block, and at which of its samples. At one sample: first what hands have done by then, then what is
    /// played, as it may change what follows; then what the network does, then what is frozen.
    fn next_of(&self, block: &Block, time: &BlockTime, runs: bool, heard: usize) -> (i64, Next) {
        let frames = block.frames as i64;
        let within = |at: u64| at.saturating_sub(self.samples) as i64;
        let input = self.input.get(heard).map(|event| i64::from(event.timing())).filter(|timing| *timing < frames);
        let entry = match self.turn {
            Turn::Entering { at, .. } => Some(within(at)),
            Turn::Player | Turn::Network { .. } => None,
        };
        let step = (runs && !self.free_run_over).then(|| time.sample_of(self.next_step as f64).max(0));
        let all = [
            (self.hands.timer().map(within), Next::Hands),
            (input, Next::Input),
            (entry, Next::Entry),
            (step, Next::Step),
            (self.sequencer.next_due().map(within), Next::Due),
            (self.catch_up_at.map(|(at, _)| within(at)), Next::CatchUp),
            (Some(self.next_frozen(time)), Next::Frozen),
        ];
        let mut first = (i64::MAX, Next::Frozen);
        for (at, next) in all {
            if let Some(at) = at.filter(|at| *at < first.0) {
                first = (at, next);
            }
        }
        first
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
                self.ledger.end_all(Some(Owner::Generated), at, 1);
                self.voices.clear();
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
        self.hands.forget_before(step - 1, at);
        self.end_free_run(block, step, at);
    }

    /// Without a transport the music ends some time after the last note.
    fn end_free_run(&mut self, block: &Block, step: i64, at: u64) {
        let (harmony, continuation) = FREE_RUN_STEPS;
        let limit = if block.settings.mode == Mode::Harmonise { harmony } else { continuation };
        let over = step - self.last_note_step > limit && !self.hands.is_holding();
        if self.clock.is_free_running() && over {
            self.clock.stop_free_running();
            self.free_run_over = true;
            self.heard = false;
            // At its sample, as the block after this one halts.
            self.ledger.end_all(Some(Owner::Generated), at, 1);
            self.hands.forget_released();
            self.drop_plans(From::Nothing);
        }
    }
}

/// Whether a note that is meant for us starts.
fn starts_a_note(event: &NoteEvent<()>, settings: &Settings) -> bool {
    match *event {
        NoteEvent::NoteOn { channel, key, velocity, .. } if velocity > 0.0 => {
            settings.bypass || channel.number().is_some_and(|channel| settings.hears(channel, key.number()))
        }
        _ => false,
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
