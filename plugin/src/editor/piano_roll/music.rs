//! The notes that the roll draws: played, planned and frozen ones. Runs on the host's window thread.

use continuo_model::decision::{Edge, TICKS_PER_STEP};
use continuo_model::tokeniser::grid::{STEPS_PER_BEAT, VOICE_NAMES};

use crate::bridge::snapshot::Snapshot;
use crate::takes::{TICKS_PER_BEAT, TakeNote, TakeView, Takes};

/// The length of a step, beats.
const STEP_BEATS: f64 = 1.0 / STEPS_PER_BEAT as f64;
/// The velocity at which planned notes without one are drawn.
const PLANNED_VELOCITY: u8 = 100;

/// Whose note it is, and whether it has sounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The player's note.
    Played,
    /// A note of the network that has sounded.
    Generated,
    /// A note of the network to come.
    Planned,
    /// A note of a frozen take to come.
    Frozen,
}

/// A note to draw. Times are take beats.
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
    /// The voice's name for the player.
    pub fn voice_name(&self) -> &'static str {
        match self.kind {
            Kind::Played => "You:",
            _ => VOICE_NAMES.get(usize::from(self.channel)).copied().unwrap_or("Other:"),
        }
    }
}

/// All notes to draw, the topmost last.
#[derive(Debug, Default, PartialEq)]
pub struct Music {
    pub marks: Vec<Mark>,
    /// The end of the last decided step, take beats.
    pub decided_to: Option<f64>,
}

impl Music {
    /// The current take, and the notes to come: planned ones, and those of frozen voices (`frozen`, in song positions).
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
        // The plan also contains the next frozen notes. Draw them once.
        let is_twice = |mark: &Mark| {
            let voice = mark.channel;
            mark.end > from && mark.start < to && frozen.iter().any(|frozen| frozen.channel == voice)
        };
        marks.extend(planned.into_iter().filter(|mark| !is_twice(mark)));
        marks.extend(frozen);
        marks.sort_by_key(order);
        Self { marks, decided_to }
    }

    /// A finished take.
    pub fn of_take(take: &TakeView) -> Self {
        let mut marks: Vec<Mark> = take.notes.iter().map(mark).collect();
        marks.sort_by_key(order);
        Self { marks, decided_to: None }
    }
}

/// The order of drawing: the player's notes last, and upper voices after lower ones.
fn order(mark: &Mark) -> (bool, std::cmp::Reverse<u8>) {
    (mark.kind == Kind::Played, std::cmp::Reverse(mark.channel))
}

/// The note with its sounding times.
fn mark(note: &TakeNote) -> Mark {
    let kind = if note.generated { Kind::Generated } else { Kind::Played };
    let (start, end) = (note.heard_start() as f64 / TICKS_PER_BEAT, note.heard_end() as f64 / TICKS_PER_BEAT);
    Mark { kind, channel: note.lane, key: note.key, velocity: note.velocity, start, end }
}

/// How far ahead of the playhead frozen notes are shown, beats.
const FROZEN_AHEAD: f64 = 64.0;

/// The frozen notes to come in this pass of the host's loop and the next, with the start of the first and the end of
/// the last.
fn frozen_marks(snapshot: &Snapshot, playhead: f64, notes: &[TakeNote]) -> (Vec<Mark>, f64, f64) {
    if !snapshot.runs || notes.is_empty() {
        return (Vec::new(), 0.0, 0.0);
    }
    let shift = snapshot.take_beats - snapshot.song_beats;
    let in_loop = snapshot.loop_beats.filter(|(start, end)| (*start..*end).contains(&snapshot.song_beats));
    // Each pass as (start in the song, end in the song, take position minus song position).
    let passes = match in_loop {
        None => vec![(f64::MIN, f64::MAX, shift)],
        Some((start, end)) => vec![(f64::MIN, end, shift), (start, end, shift + end - start)],
    };
    let mut marks = Vec::new();
    let (mut first, mut last) = (f64::MAX, f64::MIN);
    for (from, to, shift) in passes {
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

/// The planned decisions as notes, and the end of the last decided step. Notes that sound now are extended.
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
        // A lane without edges holds its notes, even if the model heard another key.
        let continues = |&Mark { channel, key, .. }: &Mark| {
            let moves = decision.edges().iter().any(|edge| edge.lane() == channel);
            let holds =
                if moves { decision.sounding.contains(channel, key) } else { !decision.sounding.is_silent(channel) };
            holds && !ahead.played.contains(channel)
        };
        marks.extend(open.extract_if(.., |mark: &mut Mark| !continues(mark)));
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

    /// Each note as `kind channel key start-end`, in beats.
    fn words(music: &Music) -> Vec<String> {
        let word = |m: &Mark| format!("{:?} {} {} {}-{}", m.kind, m.channel, m.key, m.start, m.end);
        music.marks.iter().map(word).collect()
    }

    #[test]
    fn sounding_notes_continue_into_planned_ones() {
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
    fn frozen_notes_are_shown_in_this_pass_and_the_next() {
        let mut takes = Takes::default();
        let time_signature = (4, 4);
        takes.begin(&Beginning { song_beats: 4.0, tempo_bpm: 120.0, time_signature, ..Beginning::default() });
        for (start, end, channel, key) in [(4.0, 5.0, 3, 48), (5.0, 9.0, 3, 50)] {
            takes.add(&Played { take_beats: start, heard_beats: start, channel, key, velocity: 0.5, generated: true });
            takes.add(&Played { take_beats: end, heard_beats: end, channel, key, velocity: 0.0, generated: false });
        }
        let frozen = takes.list().next().unwrap().notes.to_vec();
        // Half a beat into the second pass of a loop over beats 4 to 8. The plan contains the frozen bass, too.
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
