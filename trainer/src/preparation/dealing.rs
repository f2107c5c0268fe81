//! Assigns the notes of a piece to four voices.

use std::ops::Range;

use anyhow::{Result, ensure};
use continuo_model::rules::RANGES;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};

use super::quantise::GridNote;

/// The notes of one voice, in order and without overlaps.
pub type Voice = Vec<GridNote>;

/// The name and the notes of a part, in order of start, then from the top.
pub type NamedPart<'a> = (&'a str, Vec<GridNote>);

/// More than any other cost of an assignment.
const CROSSING: u32 = 1000;

/// Divides the parts of a piece, ordered from the top, into four voices:
/// - If there is one part for each voice name, or every part has a voice's name, those parts. Voices without a part
///   rest.
/// - Otherwise, if there are four parts, one voice each.
/// - Otherwise, if four notes sound together somewhere and never more, the notes of all parts. If the parts have four
///   simultaneous notes in sum (two staves of two voices), each part keeps its own voices.
///
/// In a part that becomes one voice, a note ends where the next one starts. Of notes that start together, the highest
/// stays.
///
/// # Errors
/// If the music does not have four voices. The text says what to change.
pub fn four_voices(parts: &[NamedPart]) -> Result<[Voice; NUM_VOICES]> {
    let voice_of = |name: &str| VOICE_NAMES.iter().position(|voice| voice.eq_ignore_ascii_case(name));
    let named = |voice: usize| parts.iter().find(|(name, _)| voice_of(name) == Some(voice));
    if (0..NUM_VOICES).all(|voice| named(voice).is_some()) || parts.iter().all(|(name, _)| voice_of(name).is_some()) {
        return Ok(std::array::from_fn(|voice| named(voice).map_or_else(Voice::new, |(_, notes)| one_voice(notes))));
    }
    if parts.len() == NUM_VOICES {
        return Ok(std::array::from_fn(|voice| one_voice(&parts[voice].1)));
    }
    let mut all: Vec<(usize, GridNote)> = Vec::new();
    for (part, (_, notes)) in parts.iter().enumerate() {
        all.extend(notes.iter().map(|&note| (part, note)));
    }
    all.sort_by_key(|(_, note)| (note.start, std::cmp::Reverse((note.pitch, note.end))));
    let together: Vec<GridNote> = all.iter().map(|(_, note)| *note).collect();
    let (most, step) = most_together(&together);
    let beat = step as f64 / STEPS_PER_BEAT as f64;
    ensure!(
        most <= NUM_VOICES,
        "expected four voices, got {most} notes together at beat {beat}; give each voice a part, or remove notes that \
         double another voice"
    );
    ensure!(
        most == NUM_VOICES,
        "expected four parts with notes, or parts named {}, got {} with at most {most} notes together; give each \
         voice a part",
        VOICE_NAMES.join(", "),
        parts.len()
    );
    Ok(deal(&all, &voices_of_parts(parts)))
}

/// The notes of all parts as one melody: the highest note where several sound. A note that a higher one interrupts does
/// not return after it.
pub fn melody(notes: &[GridNote]) -> Voice {
    let mut upwards = notes.to_vec();
    upwards.sort_by_key(|note| note.pitch);
    let num_steps = notes.iter().map(|note| note.end).max().unwrap_or(0);
    // The note that is heard in each step.
    let mut heard: Vec<Option<usize>> = vec![None; num_steps as usize];
    for (idx, note) in upwards.iter().enumerate() {
        heard[note.start as usize..note.end as usize].fill(Some(idx));
        let after = &mut heard[note.end as usize..];
        if let Some(Some(cut)) =
            after.first().copied().filter(|cut| cut.is_some_and(|cut| upwards[cut].start < note.end))
        {
            after.iter_mut().take_while(|step| **step == Some(cut)).for_each(|step| *step = None);
        }
    }
    let starts = (0..num_steps).filter_map(|step| heard[step as usize].filter(|&idx| upwards[idx].start == step));
    let until = |idx: usize, start: u64| {
        start + heard[start as usize..].iter().take_while(|step| **step == Some(idx)).count() as u64
    };
    starts.map(|idx| GridNote { end: until(idx, upwards[idx].start), ..upwards[idx] }).collect()
}

/// Reduces a part to one voice.
fn one_voice(notes: &[GridNote]) -> Voice {
    let mut voice = Voice::with_capacity(notes.len());
    for &note in notes {
        if let Some(last) = voice.last_mut().filter(|last| last.end > note.start) {
            let below = last.pitch > note.pitch && last.end >= note.end;
            if last.start == note.start || below {
                continue;
            }
            last.end = note.start;
        }
        voice.push(note);
    }
    voice
}

/// The highest number of notes that sound together, and the first step where they do. `notes` are in order of start.
fn most_together(notes: &[GridNote]) -> (usize, u64) {
    let mut sounding: Vec<u64> = Vec::new();
    let mut most = (0, 0);
    for note in notes {
        sounding.retain(|&end| end > note.start);
        sounding.push(note.end);
        if sounding.len() > most.0 {
            most = (sounding.len(), note.start);
        }
    }
    most
}

/// The range of voices for each part: its own if the parts have four simultaneous notes in sum, otherwise all.
fn voices_of_parts(parts: &[NamedPart]) -> Vec<Range<usize>> {
    let widths: Vec<usize> = parts.iter().map(|(_, notes)| most_together(notes).0).collect();
    if widths.iter().sum::<usize>() != NUM_VOICES {
        return vec![0..NUM_VOICES; parts.len()];
    }
    let mut next = 0;
    let take = |&width: &usize| {
        next += width;
        next - width..next
    };
    widths.iter().map(take).collect()
}

/// Assigns each note to a free voice, without crossing if possible and with the smallest leap from the voice's last
/// note. `notes` are pairs of part and note in order of start; never more sound together than there are voices.
fn deal(notes: &[(usize, GridNote)], voices_of: &[Range<usize>]) -> [Voice; NUM_VOICES] {
    let mut voices: [Voice; NUM_VOICES] = Default::default();
    let mut rest = notes;
    while let Some((_, first)) = rest.first() {
        let (starting, later) = rest.split_at(rest.partition_point(|(_, note)| note.start == first.start));
        let held = |voice: usize| voices[voice].last().filter(|last| last.end > first.start).map(|last| last.pitch);
        let sounding: [Option<u8>; NUM_VOICES] = std::array::from_fn(held);
        let mut search = Search { starting, voices_of, voices: &voices, best: (u32::MAX, Vec::new()) };
        search.from(&mut Vec::new(), sounding, 0);
        for (&voice, (_, note)) in search.best.1.iter().zip(starting) {
            voices[voice].push(*note);
        }
        rest = later;
    }
    voices
}

/// Tries every assignment of simultaneous notes to free voices: at most 24.
struct Search<'a> {
    starting: &'a [(usize, GridNote)],
    voices_of: &'a [Range<usize>],
    voices: &'a [Voice; NUM_VOICES],
    /// The lowest cost so far, and the voices that the notes of `starting` get at that cost.
    best: (u32, Vec<usize>),
}

impl Search<'_> {
    /// Extends an assignment of the first notes, which has cost `cost`.
    fn from(&mut self, given: &mut Vec<usize>, sounding: [Option<u8>; NUM_VOICES], cost: u32) {
        let Some((part, note)) = self.starting.get(given.len()) else {
            let crossings = (0..NUM_VOICES).flat_map(|upper| (upper + 1..NUM_VOICES).map(move |lower| (upper, lower)));
            let crossings = crossings.filter(|&(upper, lower)| {
                sounding[upper].zip(sounding[lower]).is_some_and(|(upper, lower)| upper < lower)
            });
            let cost = cost + CROSSING * crossings.count() as u32;
            if cost < self.best.0 {
                self.best = (cost, given.clone());
            }
            return;
        };
        for voice in self.voices_of[*part].clone().filter(|&voice| sounding[voice].is_none()) {
            let middle = (RANGES[voice].start() + RANGES[voice].end()) / 2;
            let before = self.voices[voice].last().map_or(middle, |last| last.pitch);
            let mut sounding = sounding;
            sounding[voice] = Some(note.pitch);
            given.push(voice);
            self.from(given, sounding, cost + u32::from(before.abs_diff(note.pitch)));
            given.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes from words such as `0+4:60`: start, steps, pitch.
    fn notes(text: &str) -> Vec<GridNote> {
        let note = |word: &str| {
            let numbers: Vec<u64> = word.split(['+', ':']).map(|number| number.parse().unwrap()).collect();
            GridNote { start: numbers[0], end: numbers[0] + numbers[1], pitch: numbers[2] as u8 }
        };
        text.split_whitespace().map(note).collect()
    }

    fn words(voice: &Voice) -> String {
        let words = voice.iter().map(|note| format!("{}+{}:{}", note.start, note.end - note.start, note.pitch));
        words.collect::<Vec<_>>().join(" ")
    }

    fn check(parts: &[(&str, &str)], expect: Result<[&str; 4], &str>) {
        let parts: Vec<NamedPart> = parts.iter().map(|(name, text)| (*name, notes(text))).collect();
        let voices = four_voices(&parts).map(|voices| voices.each_ref().map(words)).map_err(|error| error.to_string());
        match (voices, expect) {
            (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
            (voices, expect) => {
                assert_eq!(voices.as_ref().map(|v| v.each_ref().map(String::as_str)), Ok(expect.unwrap()))
            }
        }
    }

    #[test]
    fn four_parts_are_four_voices_in_their_order_or_by_their_names() {
        let parts = [("a", "0+4:60"), ("b", "0+4:72"), ("c", "0+4:55"), ("d", "0+4:48")];
        check(&parts, Ok(["0+4:60", "0+4:72", "0+4:55", "0+4:48"]));
        let named = [("BASS", "0+4:48"), ("Alto", "0+4:64"), ("Played", "0+4:90"), ("tenor", "0+4:55")];
        check(&[&named[..], &[("Soprano", "0+4:72")]].concat(), Ok(["0+4:72", "0+4:64", "0+4:55", "0+4:48"]));
        check(&[("Alto", "0+4:64"), ("Bass", "0+4:48")], Ok(["", "0+4:64", "", "0+4:48"]));
    }

    #[test]
    fn a_part_that_is_one_voice_has_one_note_at_a_time() {
        let parts = [("a", "0+4:72 0+4:69 3+4:71 8+4:72 9+2:60"), ("b", "0+4:64"), ("c", "0+4:55"), ("d", "0+4:48")];
        check(&parts, Ok(["0+3:72 3+4:71 8+4:72", "0+4:64", "0+4:55", "0+4:48"]));
    }

    #[test]
    fn two_staves_of_two_voices_each_are_dealt_from_the_top() {
        let staves = [("", "0+4:72 0+8:64 4+4:74 8+4:60"), ("", "0+4:55 0+4:48 4+4:57 4+4:50")];
        // The lone 60 is nearer to the alto's 64 than to the soprano's 74.
        check(&staves, Ok(["0+4:72 4+4:74", "0+8:64 8+4:60", "0+4:55 4+4:57", "0+4:48 4+4:50"]));
        // A low note of the upper staff stays in the upper staff's voices and crosses no voice without need.
        let staves = [("", "0+4:72 0+4:64 4+4:50"), ("", "0+4:55 0+4:48 4+4:59 4+4:52")];
        check(&staves, Ok(["0+4:72", "0+4:64 4+4:50", "0+4:55 4+4:59", "0+4:48 4+4:52"]));
    }

    #[test]
    fn a_held_note_keeps_its_voice_while_others_move_around_it() {
        let one = [("", "0+8:72 0+4:67 0+4:64 0+8:48 4+4:69 4+4:65")];
        check(&one, Ok(["0+8:72", "0+4:67 4+4:69", "0+4:64 4+4:65", "0+8:48"]));
        // The tenor is nearer to the 64, but would cross the alto's held 60.
        check(&[("", "0+4:76 0+8:60 0+4:59 0+8:48 4+4:64")], Ok(["0+4:76 4+4:64", "0+8:60", "0+4:59", "0+8:48"]));
        let three = [("", "0+4:72 0+4:67"), ("", "0+4:64"), ("", "0+4:48")];
        check(&three, Ok(["0+4:72", "0+4:67", "0+4:64", "0+4:48"]));
    }

    #[test]
    fn music_not_in_four_voices_is_refused_with_a_reason() {
        check(&[("", "0+4:72 0+4:67 0+4:64 0+4:60"), ("", "2+4:48")], Err("got 5 notes together at beat 0.5"));
        check(&[("", "0+4:72 4+4:67"), ("", "0+8:64")], Err("got 2 with at most 2 notes together; give each voice"));
    }

    #[test]
    fn a_melody_is_the_highest_that_sounds() {
        let check = |text: &str, expect: &str| {
            let mut notes = notes(text);
            notes.reverse();
            assert_eq!(words(&melody(&notes)), expect, "{text}");
        };
        check("0+4:60 1+1:64 4+1:67", "0+1:60 1+1:64 4+1:67");
        check("0+4:72 0+16:48 4+4:74 12+2:60", "0+4:72 4+4:74 12+2:60");
        check("0+16:48 4+4:60", "0+4:48 4+4:60");
    }
}
