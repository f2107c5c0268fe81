//! Songs: a piece as events, each with the notes that start and the time until the next event.

use continuo_model::tokeniser::grid::STEPS_PER_BEAT;

use super::options::{Chords, Grammar, Preparation};
use super::quantise::{GridNote, TICKS_PER_STEP};
use super::split::Identity;
use crate::corpus::piece::Piece;

/// The most notes in an event.
pub const MOST_NOTES: usize = 4;

/// Notes that start together, and the time until the next event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Ascending, at most four. Empty for a rest.
    pub pitches: Vec<u8>,
    /// 16th steps until the next event.
    pub steps: u8,
    /// The 16th of the beat on which it starts, counted from the start of its bar.
    pub step_in_beat: u8,
}

/// A piece as a sequence of events without gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Song {
    /// Its name: the file's name without folders, and the title. It stays the same when the folder moves.
    pub name: String,
    /// The split that its file assigns it to.
    pub split: Option<String>,
    /// Whether it is in a minor mode.
    pub minor: bool,
    /// Its first metre, count and unit; 4/4 if it has none.
    pub metre: (u8, u8),
    /// Its first tempo, quarter notes per minute.
    pub tempo_bpm: Option<f64>,
    /// 16ths from the start of its first bar to its first note. A pickup counts as the end of a full bar.
    pub first_step_in_bar: usize,
    /// From the first note to the end of the last.
    pub events: Vec<Event>,
}

impl Song {
    /// The song transposed by `semitones`; `None` if a pitch would leave the range of MIDI.
    pub fn transposed(&self, semitones: i8) -> Option<Self> {
        let events = self.events.iter().map(|event| event.transposed(semitones)).collect::<Option<_>>()?;
        Some(Self { events, ..self.clone() })
    }

    /// The properties that decide its split.
    pub fn identity(&self) -> Identity {
        Identity { name: self.name.clone(), split: self.split.clone(), top_line: self.top_line().collect() }
    }

    /// The highest pitch of each event, without rests.
    pub fn top_line(&self) -> impl Iterator<Item = u8> + '_ {
        self.events.iter().filter_map(|event| event.pitches.last().copied())
    }
}

impl Event {
    fn transposed(&self, semitones: i8) -> Option<Self> {
        let up = |pitch: &u8| pitch.checked_add_signed(semitones).filter(|pitch| *pitch < 128);
        Some(Self { pitches: self.pitches.iter().map(up).collect::<Option<_>>()?, ..*self })
    }
}

/// Converts `notes`, which are in order of start, then from the top. Does not determine the mode.
pub fn from_notes(piece: &Piece, notes: &[GridNote], options: &Preparation) -> Song {
    let mut events = Vec::new();
    let (mut sounds_until, mut rest) = (0, notes);
    while let Some(first) = rest.first() {
        let count = rest.partition_point(|note| note.start == first.start);
        let (starting, later) = rest.split_at(count);
        let taken = if options.chords == Chords::Top { &starting[..1] } else { starting };
        let ends = taken.iter().map(|note| note.end).max().unwrap_or(0);
        // Held notes sound on below the next ones; a note of a melody ends where the next one starts.
        let holds_on = options.grammar == Grammar::Events && options.chords != Chords::Top;
        sounds_until = if holds_on { ends.max(sounds_until) } else { ends };
        let next = later.first().map_or(sounds_until, |note| note.start);
        let sounds = sounds_until.min(next) - first.start;
        let steps = sounds.min(options.longest_event_steps.into());
        let mut push = |pitches, at, steps: u64| {
            events.push(Event { pitches, steps: steps as u8, step_in_beat: step_in_beat(piece, at) });
        };
        push(chord(taken), first.start, steps);
        let mut at = first.start + steps;
        while at < next {
            let silent = (next - at).min(options.longest_event_steps.into());
            push(Vec::new(), at, silent);
            at += silent;
        }
        rest = later;
    }
    Song {
        name: name_of(piece),
        split: piece.split.clone(),
        minor: false,
        metre: metre(piece),
        tempo_bpm: piece.tempo_bpm,
        first_step_in_bar: notes.first().map_or(0, |note| step_in_bar(piece, note.start) as usize),
        events,
    }
}

/// The first metre, count and unit; 4/4 if there is none.
pub fn metre(piece: &Piece) -> (u8, u8) {
    let metre = piece.metres.first().map(|at| (u8::try_from(at.metre.count), u8::try_from(at.metre.unit)));
    if let Some((Ok(count), Ok(unit))) = metre { (count, unit) } else { (4, 4) }
}

/// The pitches of notes that start together, ascending. Of more than four, keeps the outer ones, then inner ones from
/// the top that double no other pitch class.
fn chord(notes: &[GridNote]) -> Vec<u8> {
    let mut pitches: Vec<u8> = notes.iter().map(|note| note.pitch).collect();
    pitches.sort_unstable();
    pitches.dedup();
    if pitches.len() > MOST_NOTES {
        let (lowest, highest) = (pitches[0], pitches[pitches.len() - 1]);
        let mut kept = vec![lowest, highest];
        let inner = || pitches[1..pitches.len() - 1].iter().rev().copied();
        for pitch in inner() {
            if kept.len() < MOST_NOTES && kept.iter().all(|other| other % 12 != pitch % 12) {
                kept.push(pitch);
            }
        }
        for pitch in inner() {
            if kept.len() < MOST_NOTES && !kept.contains(&pitch) {
                kept.push(pitch);
            }
        }
        kept.sort_unstable();
        pitches = kept;
    }
    pitches
}

/// The position of a step in its bar, in 16ths; counted from the start of the piece if its bars are unknown.
fn step_in_bar(piece: &Piece, step: u64) -> u64 {
    let ticks = step * TICKS_PER_STEP;
    let bar = piece.bars.iter().rposition(|&bar| bar <= ticks);
    let since = match (bar, piece.metres.first()) {
        // A pickup is the end of a bar.
        (Some(0), Some(metre)) if piece.pickup() > 0 => ticks + metre.metre.bar_ticks() - piece.pickup(),
        (Some(bar), _) => ticks - piece.bars[bar],
        (None, _) => ticks,
    };
    since / TICKS_PER_STEP
}

/// The 16th of the beat on which a step lies.
pub fn step_in_beat(piece: &Piece, step: u64) -> u8 {
    (step_in_bar(piece, step) % STEPS_PER_BEAT as u64) as u8
}

/// The file's name without folders and extension, then the title; without a title, the position in the file.
pub fn name_of(piece: &Piece) -> String {
    // Readers append the position in the file after the extension.
    let ending = piece.source.rfind('.').unwrap_or(0);
    let end = piece.source[ending..].find([':', '#']).map_or(piece.source.len(), |at| ending + at);
    let (path, place) = piece.source.split_at(end);
    let stem = name_of_file(path);
    match (piece.title.as_str(), place) {
        ("", "") => stem.to_string(),
        ("", place) => format!("{stem}{place}"),
        (_, "") => stem.to_string(),
        (title, _) => format!("{stem}/{title}"),
    }
}

/// A file's name without folders and extension.
pub fn name_of_file(path: &str) -> &str {
    let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::super::quantise::on_grid;
    use super::super::tests::{options, piece};
    use super::*;

    fn check(music: &[&str], options: &Preparation, expect: &str) {
        let piece = piece("a", music);
        let song = from_notes(&piece, &on_grid(&piece, options).unwrap().notes, options);
        let word = |event: &Event| {
            let pitches: Vec<_> = event.pitches.iter().map(u8::to_string).collect();
            format!("{}x{}", if pitches.is_empty() { "r".into() } else { pitches.join(".") }, event.steps)
        };
        assert_eq!(song.events.iter().map(word).collect::<Vec<_>>().join(" "), expect, "{music:?}");
    }

    #[test]
    fn events_follow_without_gaps() {
        let events = Preparation { grammar: Grammar::Events, chords: Chords::Pitches, ..options() };
        check(&["0+48:60 0+48:64 48+24:62"], &events, "60.64x4 62x2");
        // Silence is a rest; a held note is not.
        check(&["0+24:60 48+24:62"], &events, "60x2 rx2 62x2");
        check(&["0+24:72 48+24:74", "0+72:48"], &events, "48.72x4 74x2");
        // In a melody only the top note counts; it ends where it is written to end.
        check(&["0+24:72 48+24:74", "0+72:48"], &options(), "72x2 rx2 74x2");
        check(&["0+48:60 24+48:62"], &options(), "60x2 62x4");
    }

    #[test]
    fn long_notes_end_in_rests() {
        let short = Preparation { longest_event_steps: 4, ..options() };
        check(&["0+120:60 120+12:62"], &short, "60x4 rx4 rx2 62x1");
    }

    #[test]
    fn a_chord_keeps_its_outer_notes_and_its_colours() {
        let events = Preparation { grammar: Grammar::Events, chords: Chords::Pitches, ..options() };
        check(&["0+12:36 0+12:48 0+12:55 0+12:60 0+12:64 0+12:72"], &events, "36.55.64.72x1");
        check(&["0+12:36 0+12:48 0+12:60 0+12:72 0+12:84"], &events, "36.60.72.84x1");
    }

    #[test]
    fn the_beat_is_counted_through_a_pickup() {
        use crate::corpus::piece::{Metre, MetreAt};
        let metres = vec![MetreAt { at: 0, metre: Metre::new(4, 4).unwrap() }];
        let pickup = Piece { bars: vec![0, 2 * TICKS_PER_STEP], metres, ..piece("a", &["0+24:60 24+24:62"]) };
        assert_eq!([0, 1, 2, 3, 7].map(|step| step_in_beat(&pickup, step)), [2, 3, 0, 1, 1]);
    }

    #[test]
    fn names_do_not_tell_the_folder() {
        let name = |source: &str, title: &str| {
            name_of(&Piece { source: source.into(), title: title.into(), ..Piece::default() })
        };
        assert_eq!(name("/a/b/tunes.abc:12", "The Reel"), "tunes/The Reel");
        assert_eq!(name("c.d/one.mid", "Ignored"), "one");
        assert_eq!(name("grids.json#train/3", ""), "grids#train/3");
    }
}
