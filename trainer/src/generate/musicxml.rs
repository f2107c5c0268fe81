//! Writes a phrase as a partwise MusicXML 4.0 score: <https://www.w3.org/2021/06/musicxml40/>.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, ensure};
use continuo_model::phrase::{Phrase, Track};

use super::notation::{Bar, QUARTER, Spelling, Value, spell};
use crate::corpus::key::{self, Key, Mode};

/// Notes that start and end together. Times are in 64ths from the start.
struct Chord {
    start: u32,
    end: u32,
    /// From the lowest.
    pitches: Vec<u8>,
}

/// The score: a part for each track with notes, with as many voices as overlap. Estimates the key and rounds times to
/// 64ths.
///
/// # Errors
/// If the lower number of the metre is above 64 or not a power of two.
pub fn text(phrase: &Phrase, title: &str) -> Result<String> {
    let (count, unit) = phrase.time_signature;
    ensure!(
        count > 0 && unit.is_power_of_two() && unit <= 64,
        "expected a metre such as 4/4, with a unit of at most 64, got {count}/{unit}"
    );
    let key = key_of(phrase).unwrap_or(Key { fifths: 0, mode: Mode::Major });
    let bar = Bar::new(phrase.time_signature);
    // A track without notes gets no staff, unless the whole piece is silent.
    let mut tracks: Vec<&Track> = phrase.tracks.iter().filter(|track| !track.notes.is_empty()).collect();
    let silence = Track::default();
    if tracks.is_empty() {
        tracks.push(&silence);
    }
    let parts: Vec<Vec<Chord>> = tracks.iter().map(|track| chords(track)).collect();
    let end = parts.iter().flatten().map(|chord| chord.end).max().unwrap_or(0);
    let score = Score { phrase, key, bar, num_bars: end.div_ceil(bar.length).max(1) };
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE score-partwise PUBLIC \"-//Recordare//DTD MusicXML 4.0 Partwise//EN\" \
         \"http://www.musicxml.org/dtds/partwise.dtd\">\n<score-partwise version=\"4.0\">\n",
    );
    let _ = writeln!(xml, "<work><work-title>{}</work-title></work>", escaped(title));
    xml += "<identification><encoding><software>Continuo</software></encoding></identification>\n<part-list>\n";
    for (n, track) in tracks.iter().enumerate() {
        let name = if track.name.is_empty() { "Music" } else { &track.name };
        let _ = writeln!(xml, "<score-part id=\"P{}\"><part-name>{}</part-name></score-part>", n + 1, escaped(name));
    }
    xml += "</part-list>\n";
    for (n, chords) in parts.iter().enumerate() {
        let _ = writeln!(xml, "<part id=\"P{}\">", n + 1);
        score.part(&mut xml, n, chords);
        xml += "</part>\n";
    }
    xml += "</score-partwise>\n";
    Ok(xml)
}

fn key_of(phrase: &Phrase) -> Option<Key> {
    let mut sums = [0.0; 12];
    for note in phrase.tracks.iter().flat_map(|track| &track.notes) {
        sums[usize::from(note.pitch % 12)] += note.length_beats;
    }
    key::estimate(&sums, None)
}

/// Chords in order of their starts, each at least a 64th long.
fn chords(track: &Track) -> Vec<Chord> {
    let step = |beats: f64| (beats * f64::from(QUARTER)).round().max(0.0) as u32;
    let mut chords: BTreeMap<(u32, u32), Vec<u8>> = BTreeMap::new();
    for note in &track.notes {
        let start = step(note.start_beats);
        chords.entry((start, step(note.end_beats()).max(start + 1))).or_default().push(note.pitch);
    }
    let chord = |((start, end), mut pitches): (_, Vec<u8>)| {
        pitches.sort_unstable();
        pitches.dedup();
        Chord { start, end, pitches }
    };
    chords.into_iter().map(chord).collect()
}

/// Assigns chords to voices without overlaps, each to the first free voice.
fn voices(chords: &[Chord]) -> Vec<Vec<&Chord>> {
    let mut voices: Vec<Vec<&Chord>> = vec![Vec::new()];
    for chord in chords {
        let is_free = |voice: &&mut Vec<&Chord>| voice.last().is_none_or(|last| last.end <= chord.start);
        match voices.iter_mut().find(is_free) {
            Some(voice) => voice.push(chord),
            None => voices.push(vec![chord]),
        }
    }
    voices
}

/// What all parts have in common.
struct Score<'a> {
    phrase: &'a Phrase,
    key: Key,
    bar: Bar,
    num_bars: u32,
}

impl Score<'_> {
    fn part(&self, xml: &mut String, part: usize, chords: &[Chord]) {
        let voices = voices(chords);
        let length = self.bar.length;
        for bar in 0..self.num_bars {
            let (start, end) = (bar * length, (bar + 1) * length);
            let _ = writeln!(xml, "<measure number=\"{}\">", bar + 1);
            if bar == 0 {
                self.attributes(xml, part == 0, chords);
            }
            for (n, voice) in voices.iter().enumerate() {
                let from = voice.partition_point(|chord| chord.end <= start);
                let to = voice.partition_point(|chord| chord.start < end);
                let here = &voice[from..to];
                // The first voice fills its bars with rests; the others appear only where they sound.
                if n == 0 || !here.is_empty() {
                    if n > 0 {
                        let _ = writeln!(xml, "<backup><duration>{length}</duration></backup>");
                    }
                    self.measure(xml, n + 1, start, here);
                }
            }
            if bar + 1 == self.num_bars {
                xml.push_str("<barline location=\"right\"><bar-style>light-heavy</bar-style></barline>\n");
            }
            xml.push_str("</measure>\n");
        }
    }

    fn attributes(&self, xml: &mut String, with_tempo: bool, chords: &[Chord]) {
        let (count, unit) = self.phrase.time_signature;
        let mode = if self.key.mode == Mode::Minor { "minor" } else { "major" };
        let pitches = || chords.iter().flat_map(|chord| &chord.pitches);
        let sum: usize = pitches().map(|&pitch| usize::from(pitch)).sum();
        // The middle of the staff is B4 in the treble clef, D3 in the bass clef.
        let (sign, line) = if sum < 57 * pitches().count() { ("F", 4) } else { ("G", 2) };
        let _ = writeln!(
            xml,
            "<attributes><divisions>{QUARTER}</divisions><key><fifths>{}</fifths><mode>{mode}</mode></key>\
             <time><beats>{count}</beats><beat-type>{unit}</beat-type></time>\
             <clef><sign>{sign}</sign><line>{line}</line></clef></attributes>",
            self.key.fifths
        );
        if with_tempo {
            let tempo = (self.phrase.tempo_bpm * 100.0).round() / 100.0;
            let _ = writeln!(
                xml,
                "<direction placement=\"above\"><direction-type><metronome><beat-unit>quarter</beat-unit>\
                 <per-minute>{tempo}</per-minute></metronome></direction-type><sound tempo=\"{tempo}\"/></direction>"
            );
        }
    }

    /// Writes one voice of the bar that begins at `start`.
    fn measure(&self, xml: &mut String, voice: usize, start: u32, chords: &[&Chord]) {
        let end = start + self.bar.length;
        if chords.is_empty() {
            let length = self.bar.length;
            let _ = writeln!(
                xml,
                "<note><rest measure=\"yes\"/><duration>{length}</duration><voice>{voice}</voice></note>"
            );
            return;
        }
        let mut at = start;
        for chord in chords {
            let (from, to) = (chord.start.max(start), chord.end.min(end));
            self.rest(xml, voice, at - start, from - at);
            let mut here = from;
            for value in self.bar.values(from - start, to - from) {
                let ties = (here > chord.start, here + value.length < chord.end);
                for (n, &pitch) in chord.pitches.iter().enumerate() {
                    self.note(xml, voice, pitch, n > 0, value, ties);
                }
                here += value.length;
            }
            at = to;
        }
        self.rest(xml, voice, at - start, end - at);
    }

    fn rest(&self, xml: &mut String, voice: usize, at: u32, length: u32) {
        if voice > 1 {
            if length > 0 {
                let _ = writeln!(xml, "<forward><duration>{length}</duration></forward>");
            }
            return;
        }
        for value in self.bar.values(at, length) {
            let _ = writeln!(
                xml,
                "<note><rest/><duration>{}</duration><voice>{voice}</voice>{}</note>",
                value.length,
                written(value)
            );
        }
    }

    /// Writes a note. `ties`: whether a tie leads to it, and whether one leads from it.
    fn note(&self, xml: &mut String, voice: usize, pitch: u8, in_chord: bool, value: Value, ties: (bool, bool)) {
        let Spelling { letter, alter, octave } = spell(pitch, i32::from(self.key.fifths));
        let chord = if in_chord { "<chord/>" } else { "" };
        let alter = if alter == 0 { String::new() } else { format!("<alter>{alter}</alter>") };
        let tie = |element: &str| {
            let one = |is: bool, kind: &str| if is { format!("<{element} type=\"{kind}\"/>") } else { String::new() };
            one(ties.0, "stop") + &one(ties.1, "start")
        };
        let (sounds, mut looks) = (tie("tie"), tie("tied"));
        if !looks.is_empty() {
            looks = format!("<notations>{looks}</notations>");
        }
        let _ = writeln!(
            xml,
            "<note>{chord}<pitch><step>{letter}</step>{alter}<octave>{octave}</octave></pitch>\
             <duration>{}</duration>{sounds}<voice>{voice}</voice>{}{looks}</note>",
            value.length,
            written(value)
        );
    }
}

fn written(value: Value) -> String {
    format!("<type>{}</type>{}", value.name, if value.dotted { "<dot/>" } else { "" })
}

/// Escapes text for XML and removes characters that XML does not allow.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {}
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
