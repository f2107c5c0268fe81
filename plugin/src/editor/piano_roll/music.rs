//! What the roll draws: notes that went out, and what is planned to follow. Runs on the host's window thread.

use continuo_model::decision::{Edge, TICKS_PER_STEP};
use continuo_model::tokeniser::grid::VOICE_NAMES;

use crate::bridge::snapshot::Snapshot;
use crate::takes::{TICKS_PER_BEAT, TakeNote, TakeView, Takes};

/// Length of a step, beats.
const STEP_BEATS: f64 = 0.25;
/// Velocity at which planned notes are drawn.
const PLANNED_VELOCITY: u8 = 100;

/// Whose note it is, and whether it has sounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The player's.
    Played,
    /// The network's, gone out.
    Generated,
    /// The network's, to come.
    Planned,
    /// Of a frozen take, to come.
    Frozen,
}

/// A note to draw; times in take beats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    pub kind: Kind,
    pub channel: u8,
    pub key: u8,
    pub velocity: u8,
    pub start: f64,
    pub end: f64,
}

impl Mark {
    /// What a player calls it.
    pub fn voice_name(&self) -> &'static str {
        match self.kind {
            Kind::Played => "You:",
            _ => VOICE_NAMES.get(usize::from(self.channel)).copied().unwrap_or("Other:"),
        }
    }
}

/// All notes to draw, those to be drawn on top last.
#[derive(Debug, Default, PartialEq)]
pub struct Music {
    pub marks: Vec<Mark>,
    /// Up to where the network has decided, take beats.
    pub decided_to: Option<f64>,
}

impl Music {
    /// The take that is under way, and what is to come: plans, and what frozen voices will play again, in beats of the song.
    pub fn now(takes: &Takes, snapshot: &Snapshot, playhead: f64, frozen: &[TakeNote]) -> Self {
        let mut marks = Vec::new();
        let mut sounding = Vec::new();
        for (note, is_open) in takes.current() {
            let mut mark = mark(&note);
            if is_open {
                mark.end = playhead.max(mark.start + STEP_BEATS / 8.0);
            }
            if is_open && mark.kind == Kind::Generated {
                sounding.push(mark);
            }
            marks.push(mark);
        }
        let (planned, decided_to) = plans(snapshot, &sounding, playhead);
        let (frozen, from, to) = frozen_marks(snapshot, playhead, frozen);
        // What is frozen is planned too, as far as that goes.
        let is_twice = |mark: &Mark| {
            let voice = mark.channel;
            mark.end > from && mark.start < to && frozen.iter().any(|frozen| frozen.channel == voice)
        };
        marks.extend(planned.into_iter().filter(|mark| !is_twice(mark)));
        marks.extend(frozen);
        marks.sort_by_key(order);
        Self { marks, decided_to }
    }

    /// A take that is over.
    pub fn of_take(take: &TakeView) -> Self {
        let mut marks: Vec<Mark> = take.notes.iter().map(mark).collect();
        marks.sort_by_key(order);
        Self { marks, decided_to: None }
    }
}

/// The player's on top, and of two at one place the upper voice.
fn order(mark: &Mark) -> (bool, std::cmp::Reverse<u8>) {
    (mark.kind == Kind::Played, std::cmp::Reverse(mark.channel))
}

/// A note where it was heard.
fn mark(note: &TakeNote) -> Mark {
    let kind = if note.generated { Kind::Generated } else { Kind::Played };
    let (start, end) = (note.heard_start() as f64 / TICKS_PER_BEAT, note.heard_end() as f64 / TICKS_PER_BEAT);
    Mark { kind, channel: note.lane, key: note.key, velocity: note.velocity, start, end }
}

/// How far ahead of the playhead frozen notes are shown, beats.
const FROZEN_AHEAD: f64 = 64.0;

/// What frozen voices will play, in this round of the host's loop and the next, and from where to where the take goes.
fn frozen_marks(snapshot: &Snapshot, playhead: f64, notes: &[TakeNote]) -> (Vec<Mark>, f64, f64) {
    if !snapshot.runs || notes.is_empty() {
        return (Vec::new(), 0.0, 0.0);
    }
    let shift = snapshot.take_beats - snapshot.song_beats;
    let in_loop = snapshot.loop_beats.filter(|(start, end)| (*start..*end).contains(&snapshot.song_beats));
    // Each round as a stretch of the song and how far it is shifted in the take.
    let rounds = match in_loop {
        None => vec![(f64::MIN, f64::MAX, shift)],
        Some((start, end)) => vec![(f64::MIN, end, shift), (start, end, shift + end - start)],
    };
    let mut marks = Vec::new();
    let (mut first, mut last) = (f64::MAX, f64::MIN);
    for (from, to, shift) in rounds {
        for note in notes {
            let mut mark = Mark { kind: Kind::Frozen, ..mark(note) };
            let (start, end) = (mark.start.max(from), mark.end.min(to));
            (mark.start, mark.end) = ((start + shift).max(playhead), end + shift);
            (first, last) = (first.min(mark.start), last.max(mark.end));
            if mark.end > mark.start && mark.start < playhead + FROZEN_AHEAD {
                marks.push(mark);
            }
        }
    }
    (marks, first, last)
}

/// What follows if the player changes nothing: planned decisions as notes, those that sound now drawn out.
fn plans(snapshot: &Snapshot, sounding: &[Mark], playhead: f64) -> (Vec<Mark>, Option<f64>) {
    let mut decided_to = None;
    let (mut marks, mut open) = (Vec::new(), Vec::new());
    open.extend(sounding.iter().map(|mark| Mark { kind: Kind::Planned, start: playhead, end: playhead, ..*mark }));
    for ahead in snapshot.ahead() {
        let Some(decision) = ahead.decision else { continue };
        let end = ahead.take_beats + STEP_BEATS;
        if end <= playhead {
            continue;
        }
        decided_to = Some(end);
        let at = |tick: u8| (ahead.take_beats + STEP_BEATS * f64::from(tick) / f64::from(TICKS_PER_STEP)).max(playhead);
        for edge in decision.edges().iter().filter(|edge| !ahead.played.contains(edge.lane())) {
            let (channel, key, at) = (edge.lane(), edge.key(), at(edge.tick()));
            let ended = open.iter().position(|mark: &Mark| (mark.channel, mark.key) == (channel, key));
            marks.extend(ended.map(|ended| open.swap_remove(ended)).map(|mark| Mark { end: at, ..mark }));
            if let Edge::On { velocity, .. } = *edge {
                let velocity = if velocity > 0 { velocity } else { PLANNED_VELOCITY };
                open.push(Mark { kind: Kind::Planned, channel, key, velocity, start: at, end: at });
            }
        }
        // A lane without edges goes on with what it sounds, even if the model thinks of another key.
        let goes_on = |&Mark { channel, key, .. }: &Mark| {
            let moves = decision.edges().iter().any(|edge| edge.lane() == channel);
            let holds =
                if moves { decision.sounding.contains(channel, key) } else { !decision.sounding.is_silent(channel) };
            holds && !ahead.played.contains(channel)
        };
        marks.extend(open.extract_if(.., |mark: &mut Mark| !goes_on(mark)));
        open.iter_mut().for_each(|mark| mark.end = end);
    }
    marks.extend(open);
    marks.retain(|mark| mark.end > mark.start);
    (marks, decided_to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::snapshot::Ahead;
    use crate::bridge::{Beginning, Played};
    use continuo_model::decision::{Decision, Lanes};

    /// As `kind channel key start-end`, in beats.
    fn words(music: &Music) -> Vec<String> {
        let word = |m: &Mark| format!("{:?} {} {} {}-{}", m.kind, m.channel, m.key, m.start, m.end);
        music.marks.iter().map(word).collect()
    }

    #[test]
    fn what_sounds_goes_on_into_what_is_planned() {
        let mut takes = Takes::default();
        let time_signature = (4, 4);
        takes.begin(&Beginning { song_beats: 0.0, tempo_bpm: 120.0, time_signature, ..Beginning::default() });
        let played = |take_beats, channel, key, generated| Played {
            take_beats,
            heard_beats: take_beats,
            channel,
            key,
            velocity: 0.5,
            generated,
        };
        takes.add(&played(0.0, 0, 72, false));
        takes.add(&played(0.0, 1, 67, true));
        takes.add(&played(0.0, 3, 48, true));
        let mut snapshot = Snapshot { take_beats: 0.5, num_ahead: 4, ..Snapshot::default() };
        let ahead = |take_beats, sounding: &[(u8, u8)], edges: &[Edge]| {
            let mut decision = Decision::SILENCE;
            sounding.iter().for_each(|(lane, key)| decision.sounding.insert(*lane, *key));
            edges.iter().for_each(|edge| assert!(decision.push(*edge)));
            Ahead { take_beats, decision: Some(decision), played: Lanes::first(1) }
        };
        let on = |lane, key, tick| Edge::On { lane, key, velocity: 0, tick };
        let off = |lane, key| Edge::Off { lane, key, tick: 0 };
        snapshot.ahead[0] = ahead(0.25, &[(0, 72)], &[]);
        snapshot.ahead[1] = ahead(0.5, &[(0, 72), (1, 67), (3, 48)], &[on(2, 60, 0)]);
        snapshot.ahead[2] =
            ahead(0.75, &[(0, 72), (2, 60), (1, 67), (3, 48)], &[off(1, 67), on(1, 65, 0), off(3, 48), on(2, 64, 12)]);
        snapshot.ahead[3] = Ahead { take_beats: 1.0, decision: None, played: Lanes::NONE };
        let music = Music::now(&takes, &snapshot, 0.5, &[]);
        let expected = [
            "Generated 3 48 0-0.5",
            "Planned 3 48 0.5-0.75",
            "Planned 2 60 0.5-1",
            "Planned 2 64 0.875-1",
            "Generated 1 67 0-0.5",
            "Planned 1 67 0.5-0.75",
            "Planned 1 65 0.75-1",
            "Played 0 72 0-0.5",
        ];
        assert_eq!(words(&music), expected);
        assert_eq!(music.decided_to, Some(1.0));
    }

    #[test]
    fn what_is_frozen_is_seen_to_come_through_the_loop() {
        let mut takes = Takes::default();
        let time_signature = (4, 4);
        takes.begin(&Beginning { song_beats: 4.0, tempo_bpm: 120.0, time_signature, ..Beginning::default() });
        for (start, end, channel, key) in [(4.0, 5.0, 3, 48), (5.0, 9.0, 3, 50)] {
            takes.add(&Played { take_beats: start, heard_beats: start, channel, key, velocity: 0.5, generated: true });
            takes.add(&Played { take_beats: end, heard_beats: end, channel, key, velocity: 0.0, generated: false });
        }
        let frozen = takes.list().next().unwrap().notes.to_vec();
        // In the second round of a loop over beats 4 to 8, half a beat into it; the bass is planned too.
        let mut snapshot = Snapshot {
            runs: true,
            take_beats: 8.5,
            song_beats: 4.5,
            loop_beats: Some((4.0, 8.0)),
            pass: 1,
            num_ahead: 1,
            ..Snapshot::default()
        };
        let mut decision = Decision::SILENCE;
        for (lane, key) in [(1, 67), (3, 48)] {
            decision.push(Edge::On { lane, key, velocity: 0, tick: 0 });
        }
        snapshot.ahead[0] = Ahead { take_beats: 8.5, decision: Some(decision), played: Lanes::NONE };
        let music = Music::now(&Takes::default(), &snapshot, 8.5, &frozen);
        let expected = [
            "Frozen 3 48 8.5-9",
            "Frozen 3 50 9-12",
            "Frozen 3 48 12-13",
            "Frozen 3 50 13-16",
            "Planned 1 67 8.5-8.75",
        ];
        assert_eq!(words(&music), expected);
        snapshot.runs = false;
        assert_eq!(words(&Music::now(&Takes::default(), &snapshot, 8.5, &frozen)).len(), 2);
    }
}
