//! The plan: which steps the audio thread has requested from the worker, and when each is due. Audio thread.

mod cadence;
mod harmony;
mod sequencer;

use std::sync::atomic::Ordering;
use std::time::Instant;

use continuo_model::decision::{Decision, Given, Lanes};
use continuo_model::expression::Expression;
use continuo_model::generate::{Step, StepSettings};
use continuo_model::key;
use continuo_model::phrasing::{LAST_CHORD_STEPS, PhraseStep};
use continuo_model::tokeniser::step_reader::PhrasePosition;

use cadence::Cadence;
use harmony::Accompaniment;
use sequencer::Sequencer;
pub use sequencer::{Due, PlannedStep, Poll};

use super::frozen::Frozen;
use super::hands::Hands;
use super::listener::Listener;
use super::positions::{CountedStep, STEPS_IN_A_BEAT, Sample, SongStep};
use super::settings::Settings;
use super::transport::{BlockTime, TurnStart};
use crate::bridge::{AudioEnd, Origin, Request};
use crate::params::{Feel, Mode, SwingSource};

/// The number of bars at the start of the network's turn in which pitches outside the scale are rare.
const KEY_BARS: f64 = 2.0;
/// Playing along, the network takes up the player's key after this many steps of playing: a bar of 4/4.
const ENOUGH_TO_HARMONISE: f64 = 16.0;

/// The requested steps, their due times and the cadence.
pub struct Plan {
    sequencer: Sequencer,
    cadence: Cadence,
    /// The last step that was requested as an answer to a note, between steps.
    answered: Option<CountedStep>,
    /// In Accompany: what goes on without the player.
    accompaniment: Option<Accompaniment>,
    /// The first step of the network's last turn, counted and in the song.
    turn_start: Option<(CountedStep, TurnStart)>,
}

/// What a request depends on besides the plan, and the bridge to the worker.
pub struct RequestContext<'a> {
    /// The parameters.
    pub settings: &'a Settings,
    /// The block.
    pub time: &'a BlockTime,
    /// The player's hands.
    pub hands: &'a mut Hands,
    /// How the player plays.
    pub listener: &'a Listener,
    /// The frozen lanes.
    pub frozen: &'a Frozen,
    /// The bridge to the worker.
    pub bridge: &'a mut AudioEnd,
}

/// The player's part of a step.
#[derive(Clone, Copy)]
struct Part {
    given: Given,
    /// Lanes that are the player's, and that the network decides unheard.
    unheard: Lanes,
}

impl Part {
    fn of(given: Given) -> Self {
        Self { given, unheard: Lanes::NONE }
    }

    fn is_empty(&self) -> bool {
        (self.given.lanes | self.unheard).is_empty()
    }
}

/// A step that is requested.
#[derive(Clone, Copy)]
struct StepAt {
    step: CountedStep,
    song_step: SongStep,
    /// Whether the network decides every lane.
    is_networks: bool,
}

/// Whether the network may play in a step.
pub fn is_networks_time(settings: &Settings, time: &BlockTime, step: CountedStep) -> bool {
    settings.is_networks_bar(time.bar_of(time.song_position(step).song_step))
}

impl Plan {
    /// An empty plan.
    pub fn new() -> Self {
        Self {
            sequencer: Sequencer::new(),
            cadence: Cadence::default(),
            answered: None,
            accompaniment: None,
            turn_start: None,
        }
    }

    /// Drops everything, except that the end stays the end. The next requested step continues from `origin`.
    pub fn clear(&mut self, origin: Origin) {
        self.sequencer.clear(origin);
        self.cadence.clear();
        (self.answered, self.accompaniment) = (None, None);
    }

    /// Drops all steps but keeps the cadence.
    pub fn drop_steps(&mut self) {
        self.sequencer.clear(Origin::PreviousStep);
    }

    /// Drops the network's turn; `next_step` is the step that begins next. A cadence to come waits for its next turn.
    pub fn drop_turn(&mut self, next_step: CountedStep) {
        self.postpone_cadence(next_step);
        self.sequencer.clear(Origin::PreviousStep);
        self.answered = None;
    }

    /// The network's turn is over before `next_step`: a cadence to come waits for its next turn.
    pub fn postpone_cadence(&mut self, next_step: CountedStep) {
        self.cadence.postpone(next_step);
    }

    /// Drops the steps from `step` on, so that they are planned again.
    pub fn forget_from(&mut self, step: CountedStep) {
        self.sequencer.forget_from(step);
    }

    /// Follows the buttons Cadence and End; `next_step` is the step that begins next. `is_networks` says whether it is
    /// the network's turn; playing along it always plays.
    pub fn follow_cadence(&mut self, settings: &Settings, time: &BlockTime, next_step: CountedStep, is_networks: bool) {
        let ahead = next_step + settings.lookahead_steps;
        let decided = self.planned_through().map_or(ahead, |planned| planned.max(ahead));
        let plays = is_networks || settings.mode.plays_along();
        let is_networks_time = |step| plays && is_networks_time(settings, time, step);
        let closes = |step| is_networks_time(step) && self.plan_closes(settings, time, step);
        // While the last chord of a phrase sounds, nothing leads up to the next one.
        let is_chord = |step: &CountedStep| closes(*step) || self.cadence.steps_from(*step) == Some(0);
        let chord = decided.through(decided + LAST_CHORD_STEPS).take_while(is_chord).last();
        let undecided = chord.unwrap_or(decided) + 1;
        let is_planned = |step: CountedStep| closes(step) && !closes(step - 1);
        let mut cadence = self.cadence;
        cadence.follow(settings.cadence, settings.end, time, undecided, is_planned, is_networks_time);
        self.cadence = cadence;
    }

    /// Begins the network's turn on `step`: a cadence that the player has requested before falls in it.
    fn begin_turn(&mut self, settings: &Settings, time: &BlockTime, step: CountedStep) {
        self.turn_start = Some((step, time.turn_start(time.song_position(step).song_step)));
        let closes = |step| self.plan_closes(settings, time, step);
        let is_planned = |step: CountedStep| closes(step) && !closes(step - 1);
        let mut cadence = self.cadence;
        cadence.begin_turn(time, step, is_planned, |step| is_networks_time(settings, time, step));
        self.cadence = cadence;
    }

    /// Follows the steps: `step` begins. `has_music` says whether there is music that a last chord can end.
    pub fn begin_step(&mut self, step: CountedStep, has_music: bool) {
        self.cadence.begin_step(step);
        if !has_music {
            self.reopen();
        }
    }

    /// If the music has ended, it may go on.
    pub fn reopen(&mut self) {
        if self.cadence.has_ended() {
            self.cadence.reopen();
        }
    }

    /// Whether a step comes after the start of the music's last chord, so that nothing is requested for it.
    pub fn is_after_last(&self, step: CountedStep) -> bool {
        self.cadence.is_after_last(step)
    }

    /// Whether the last chord ends on a step.
    pub fn ends_on(&self, step: CountedStep) -> bool {
        self.cadence.ends_on(step)
    }

    /// The last planned step, if any.
    pub fn planned_through(&self) -> Option<CountedStep> {
        self.sequencer.planned_through()
    }

    /// The last step that was requested as an answer to a note, if any.
    pub fn answered(&self) -> Option<CountedStep> {
        self.answered
    }

    /// Whether a step is planned and has not been played.
    pub fn has(&self, step: CountedStep) -> bool {
        self.sequencer.has(step)
    }

    /// The plan from step `first` on: each step, its decision if known, and the player's lanes.
    pub fn ahead(&self, first: CountedStep) -> impl Iterator<Item = (CountedStep, Option<Decision>, Lanes)> + '_ {
        let steps = self.planned_through().map(|last| first.through(last)).into_iter().flatten();
        steps.filter_map(|step| self.sequencer.planned(step).map(|(decision, played)| (step, decision, played)))
    }

    /// Stores the worker's answers.
    pub fn take_answers(&mut self, bridge: &mut AudioEnd) {
        self.sequencer.take_answers(bridge);
    }

    /// Makes a step due at a sample.
    pub fn schedule(&mut self, step: CountedStep, at: Sample) {
        self.sequencer.schedule(Due { at, step });
    }

    /// The sample at which the next step is due.
    pub fn next_due(&self) -> Option<Sample> {
        self.sequencer.next_due()
    }

    /// Removes the next due step from the list and returns it.
    pub fn pop_due(&mut self) -> Option<Due> {
        self.sequencer.pop_due()
    }

    /// Returns a step's state. A step that is decided, or never will be, leaves the plan.
    pub fn poll(&mut self, step: CountedStep, can_answer: bool) -> Poll {
        self.sequencer.poll(step, can_answer)
    }

    /// Drops a step, so that its answer will be ignored.
    pub fn give_up(&mut self, step: CountedStep) {
        self.sequencer.give_up(step);
    }

    /// Makes a due step overdue: it plays as soon as its decision arrives.
    pub fn put_off(&mut self, due: Due) {
        self.sequencer.put_off(due);
    }

    /// The step that has been overdue for longest.
    pub fn overdue(&self) -> Option<Due> {
        self.sequencer.overdue()
    }

    /// Removes that step from the list.
    pub fn pop_overdue(&mut self) {
        self.sequencer.pop_overdue();
    }

    /// Requests a step in which the network decides every lane.
    pub fn request_free(&mut self, context: &mut RequestContext, step: CountedStep) {
        self.request(context, step, Part::of(Given::NOTHING), false, None);
    }

    /// Requests the first step of the network's turn, in which all notes start.
    pub fn request_entry(&mut self, context: &mut RequestContext, step: CountedStep) {
        self.begin_turn(context.settings, context.time, step);
        self.request(context, step, Part::of(Given::NOTHING), true, None);
    }

    /// Requests a step that is over, with the notes that the player played in it, so that the network hears them.
    /// Returns whether there were any; silence makes no request.
    pub fn listen(&mut self, context: &mut RequestContext, step: CountedStep) -> bool {
        let given = if context.hears_notes() {
            context.hands.notes_in(step)
        } else {
            context.hands.played_in(step).map(|played| played.given)
        };
        let Some(given) = given else { return false };
        self.request(context, step, Part::of(given), false, None);
        self.give_up(step);
        true
    }

    /// Plans a rest in all lanes.
    pub fn rest(&mut self, step: CountedStep) {
        self.sequencer.rest(step);
    }

    fn request(
        &mut self,
        context: &mut RequestContext,
        step: CountedStep,
        part: Part,
        attack: bool,
        requested_at: Option<Instant>,
    ) {
        if self.is_after_last(step) {
            // The last chord sounds until it ends.
            if self.ends_on(step) {
                self.rest(step);
            }
            return;
        }
        let RequestContext { settings, time, .. } = *context;
        let position = time.song_position(step);
        let at = StepAt { step, song_step: position.song_step, is_networks: part.is_empty() };
        let mut step_settings =
            StepSettings { pass: if settings.evolves { position.pass } else { 0 }, ..settings.step };
        step_settings.controls.bar = time.bar_position(position.song_step);
        self.set_phrase(context, &mut step_settings, at);
        step_settings.closes = self.cadence.closes(step);
        context.set_key(&mut step_settings, at);
        step_settings.favours_scale = self.stays_near(context, at);
        let request = Request {
            id: 0,
            origin: if position.is_loop_start { Origin::SongMemory } else { Origin::PreviousStep },
            count: step.number(),
            undo_from: step.number(),
            step: Step {
                step_idx: position.song_step.number(),
                step_in_beat: time.step_in_beat(position.song_step),
                given: context.with_frozen(step, part.given),
                attack,
                settings: step_settings,
            },
            expression: context.expression(at, &step_settings),
            begins_bar: time.begins_bar(position.song_step),
            requested_at,
        };
        self.sequencer.request(context.bridge, step, request, part.unheard);
    }

    /// Where a step of the network's turn lies in its phrase by plan. Playing along, the player makes the phrases.
    fn planned_phrase(&self, settings: &Settings, time: &BlockTime, at: StepAt) -> Option<PhraseStep> {
        let turn_start = self.turn_start.filter(|_| at.is_networks && !settings.mode.plays_along())?;
        let over = self.cadence.over_since(at.step).filter(|(since, _)| *since > turn_start.0);
        let (_, start) = over.unwrap_or(turn_start);
        Some(time.turn_step(start, at.song_step).phrase(settings.phrase_bars))
    }

    /// Whether the last chord of a phrase sounds in a step of the network's turn by plan.
    fn plan_closes(&self, settings: &Settings, time: &BlockTime, step: CountedStep) -> bool {
        let at = StepAt { step, song_step: time.song_position(step).song_step, is_networks: true };
        self.planned_phrase(settings, time, at).is_some_and(|phrase| phrase.fermata_in == Some(0))
    }

    /// Sets where in its phrase a step lies. A cadence that the player has requested closes the phrase, unless the plan
    /// closes it before; the next one is counted from there.
    fn set_phrase(&self, context: &RequestContext, step_settings: &mut StepSettings, at: StepAt) {
        let controls = &mut step_settings.controls;
        if let Some(phrase) = self.planned_phrase(context.settings, context.time, at) {
            (controls.phrase, controls.fermata_in) = (Some(phrase.position), phrase.fermata_in);
        }
        let closes_before = |steps: u8| controls.fermata_in.is_some_and(|own| own < steps);
        if let Some(steps) = self.cadence.steps_from(at.step).filter(|steps| !closes_before(*steps)) {
            controls.fermata_in = Some(steps);
            let beats_left = steps.div_ceil(STEPS_IN_A_BEAT as u8);
            controls.phrase = controls.phrase.map(|phrase| PhrasePosition { beats_left, ..phrase });
        }
    }

    /// Whether pitches outside the scale are to be rare: in harmony that is drawn silently while the player plays, as
    /// all later music continues from it, and in the first bars of the network's turn.
    fn stays_near(&self, context: &RequestContext, at: StepAt) -> bool {
        let bars = KEY_BARS * context.time.bar_beats() * STEPS_IN_A_BEAT;
        // By the position in the song, so that each round of a loop is alike.
        let is_early = self.turn_start.is_none_or(|(_, start)| (start.steps_to(at.song_step) as f64) < bars);
        !context.settings.mode.plays_along() && (is_early || !at.is_networks)
    }

    /// How many steps are planned and have not been played.
    #[cfg(test)]
    pub fn num_unplayed(&self) -> usize {
        self.sequencer.unplayed().count()
    }
}

impl RequestContext<'_> {
    /// Whether the model hears notes, not voices.
    fn hears_notes(&self) -> bool {
        self.bridge.shared.hears_notes.load(Ordering::Relaxed)
    }

    /// Sets the key and the scale of a step: those that the player has set, or else plays in.
    fn set_key(&self, step_settings: &mut StepSettings, at: StepAt) {
        let Settings { tonality, mode, .. } = self.settings;
        let min_steps = if mode.plays_along() { ENOUGH_TO_HARMONISE } else { 0.0 };
        let key = tonality.key.or_else(|| {
            let minor = tonality.scale.is_minor();
            self.listener.key_at(self.time, at.step, at.is_networks, |heard| heard.key(min_steps, minor))
        });
        // Alone from the start, the network plays in a key of its own.
        let key = key.or_else(|| (*mode == Mode::Free).then(|| key::drawn(step_settings.rng_seed)));
        step_settings.controls.key = tonality.network_key(key);
        step_settings.scale = tonality.classes(key);
    }

    /// How the notes of a step are played: by the parameters and by how the player plays.
    fn expression(&self, at: StepAt, step_settings: &StepSettings) -> Expression {
        let Feel { dynamics, humanise, swing } = self.settings.feel;
        let touch = self.listener.touch_at(self.time, at.step, at.is_networks);
        let swing = match swing {
            SwingSource::Off => None,
            SwingSource::Player => self.listener.swing_at(self.time, at.step, at.is_networks),
            SwingSource::Set(swing) => Some(swing),
        };
        // After the loop's end all lanes settle there; in the first round they start alike.
        let starts_loop = self.time.starts_loop(at.song_step);
        let on_grid = if starts_loop { Lanes::ALL } else { Lanes::NONE };
        let accent = touch.accent(step_settings.controls.bar.map(|bar| bar.step_in_bar));
        Expression { dynamics, humanise, level: touch.level(), accent, swing, on_grid }
    }

    /// Adds the frozen lanes to what is given. The player's own lanes take precedence.
    fn with_frozen(&self, step: CountedStep, given: Given) -> Given {
        match self.frozen.step(self.time.song_position(step).song_step) {
            Some((lanes, notes)) => given.with(lanes, notes),
            None => given,
        }
    }
}
