//! Reads the measures of a MusicXML part in order.

use anyhow::{Context, Result, ensure};
use roxmltree::Node;

use super::{child, children};
use crate::corpus::beats::Beats;
use crate::corpus::key::{Mode, WrittenKey};
use crate::corpus::piece::Metre;
use crate::corpus::repeats::Barline;
use crate::corpus::written::{WrittenMusic, WrittenNote};

/// More staves are an error in the file.
const MAX_STAVES: usize = 16;

/// A part while it is read.
pub struct Reader {
    /// Its name.
    pub name: String,
    /// The number of staves with notes.
    pub num_staves: usize,
    /// Its measures so far.
    pub measures: Vec<Measure>,
    /// Divisions of a quarter note.
    divisions: i64,
    /// Semitones from written to sounding pitch.
    transpose: i64,
    /// The position of the next note in the measure.
    time: Beats,
    /// The position of the last note that starts a chord.
    chord_at: Beats,
}

/// A measure. Times are from its start.
#[derive(Default)]
pub struct Measure {
    /// Its length: to the end of its last note, rest or gap.
    pub length: Beats,
    /// Its notes and their staves, counted from 0.
    pub notes: Vec<(usize, WrittenNote)>,
    /// Metres that begin in it.
    pub metres: Vec<(Beats, Metre)>,
    opens: bool,
    times: u32,
    ending: Option<Vec<u32>>,
    ends_ending: bool,
}

impl Measure {
    /// Its two barlines, if it starts at `start`.
    pub fn barlines_from(&self, start: Beats) -> Result<[Barline; 2]> {
        let left = Barline { at: Some(start), opens: self.opens, ending: self.ending.clone(), ..Barline::default() };
        let at = Some(start.plus(self.length)?);
        let right = Barline { at, times: self.times, ends_ending: self.ends_ending, ..Barline::default() };
        Ok([left, right])
    }
}

impl Reader {
    /// A part at its beginning.
    pub fn new(name: String) -> Self {
        Self {
            name,
            num_staves: 1,
            measures: Vec::new(),
            divisions: 1,
            transpose: 0,
            time: Beats::ZERO,
            chord_at: Beats::ZERO,
        }
    }

    /// Reads a measure. Passes the file's first key and tempo on to the score.
    ///
    /// # Errors
    /// If an element is invalid; with the line.
    pub fn measure(&mut self, node: Node, music: &mut WrittenMusic) -> Result<()> {
        let mut measure = Measure::default();
        self.time = Beats::ZERO;
        self.chord_at = Beats::ZERO;
        for item in node.children().filter(Node::is_element) {
            // Counting lines takes time proportional to the file's length, so only errors do it.
            let line = || item.document().text_pos_at(item.range().start).row;
            self.item(item, &mut measure, music).with_context(|| format!("line {}", line()))?;
            measure.length = measure.length.max(self.time);
        }
        self.measures.push(measure);
        Ok(())
    }

    fn item(&mut self, item: Node, measure: &mut Measure, music: &mut WrittenMusic) -> Result<()> {
        match item.tag_name().name() {
            "attributes" => self.attributes(item, measure, music)?,
            "note" => self.note(item, measure)?,
            "backup" => self.time = self.time.minus(self.duration(item)?)?.max(Beats::ZERO),
            "forward" => self.time = self.time.plus(self.duration(item)?)?,
            "barline" => barline(item, measure)?,
            "direction" | "sound" if music.tempo_bpm.is_none() => {
                let sound = item.descendants().find_map(|node| node.attribute("tempo"));
                let tempo = sound.and_then(|tempo| tempo.trim().parse::<f64>().ok());
                music.tempo_bpm = tempo.filter(|tempo| tempo.is_finite() && *tempo > 0.0);
            }
            _ => {}
        }
        Ok(())
    }

    fn attributes(&mut self, node: Node, measure: &mut Measure, music: &mut WrittenMusic) -> Result<()> {
        if let Some(divisions) = number(node, "divisions")? {
            ensure!((1..=1_000_000).contains(&divisions), "expected divisions of a quarter note, got {divisions}");
            self.divisions = divisions;
        }
        if let Some(transpose) = child(node, "transpose") {
            let semitones = number(transpose, "chromatic")?.unwrap_or(0);
            let octaves = number(transpose, "octave-change")?.unwrap_or(0);
            ensure!(semitones.abs() <= 60 && octaves.abs() <= 5, "expected a transposition of at most five octaves");
            self.transpose = semitones + 12 * octaves;
        }
        if let Some(key) = child(node, "key")
            && music.written_key.is_none()
            && let Some(fifths) = number(key, "fifths")?
        {
            ensure!((-7..=7).contains(&fifths), "expected 7 flats (-7) to 7 sharps, got {fifths}");
            // Converts the signature of a transposing instrument to that of the sounding pitch.
            let fifths = fifths as i8 + (7 * self.transpose).rem_euclid(12) as i8;
            let fifths = if fifths > 6 { fifths - 12 } else { fifths };
            let mode = child(key, "mode").and_then(|mode| mode.text()).and_then(|mode| Mode::from_word(mode.trim()));
            music.written_key = Some(WrittenKey { fifths, mode });
        }
        for time in children(node, "time") {
            if let (Some(beats), Some(unit)) = (text(time, "beats"), text(time, "beat-type")) {
                measure.metres.push((self.time, Metre::parse(&format!("{beats}/{unit}"))?));
            }
        }
        Ok(())
    }

    fn note(&mut self, node: Node, measure: &mut Measure) -> Result<()> {
        if child(node, "grace").is_some() {
            return Ok(());
        }
        let length = self.duration(node)?;
        let at = if child(node, "chord").is_some() { self.chord_at } else { self.time };
        if child(node, "chord").is_none() {
            self.chord_at = self.time;
            self.time = self.time.plus(length)?;
        }
        let Some(pitch) = child(node, "pitch").filter(|_| child(node, "cue").is_none()) else {
            return Ok(()); // a rest, a drum stroke, or a cue for someone else's notes
        };
        let step = text(pitch, "step").context("expected the step of a pitch, got none")?;
        let degree = match step {
            "C" => 0,
            "D" => 2,
            "E" => 4,
            "F" => 5,
            "G" => 7,
            "A" => 9,
            "B" => 11,
            _ => anyhow::bail!("expected a step from A to G, got `{step}`"),
        };
        let octave = number(pitch, "octave")?.filter(|octave| (0..=9).contains(octave));
        let octave = octave.context("expected an octave from 0 to 9")?;
        let alter =
            text(pitch, "alter").map_or(Ok(0.0), str::parse::<f64>).context("expected an alteration in semitones")?;
        let midi = 12.0 * (octave as f64 + 1.0) + f64::from(degree) + alter + self.transpose as f64;
        ensure!((0.0..=127.0).contains(&midi), "expected a pitch that MIDI has, got {midi}");
        ensure!(midi.fract() == 0.0, "expected whole semitones, got a quarter tone ({alter})");
        // Some programs write where ties start but not where they stop, so a tie ends at the next note of the same
        // pitch.
        let tied_on = children(node, "tie").any(|tie| tie.attribute("type") == Some("start"));
        let staff = number(node, "staff")?.unwrap_or(1);
        let staff = usize::try_from(staff).ok().filter(|staff| (1..=MAX_STAVES).contains(staff));
        let staff = staff.with_context(|| format!("expected a staff from 1 to {MAX_STAVES}"))?;
        self.num_staves = self.num_staves.max(staff);
        measure
            .notes
            .push((staff - 1, WrittenNote { at, length, pitch: midi as u8, tied_on, tied_back: true, velocity: None }));
        Ok(())
    }

    fn duration(&self, node: Node) -> Result<Beats> {
        let text = text(node, "duration").context("expected a duration, got none")?;
        // Some programs write whole numbers with a decimal point.
        let divisions = text.strip_suffix(".0").unwrap_or(text).parse().ok().filter(|n| *n >= 0);
        Beats::new(
            divisions.with_context(|| format!("expected a duration in divisions, got `{text}`"))?,
            self.divisions,
        )
    }
}

fn barline(node: Node, measure: &mut Measure) -> Result<()> {
    if let Some(repeat) = child(node, "repeat") {
        match repeat.attribute("direction") {
            Some("forward") => measure.opens = true,
            Some("backward") => {
                let times = repeat.attribute("times").map_or(Ok(2), str::parse::<u32>);
                measure.times = times.context("expected how often to repeat")?.max(2);
            }
            other => anyhow::bail!("expected a repeat forward or backward, got `{}`", other.unwrap_or_default()),
        }
    }
    if let Some(ending) = child(node, "ending") {
        match ending.attribute("type") {
            Some("start") => {
                let text = ending.attribute("number").unwrap_or_default();
                let numbers = text.split([',', ' ', '.']).filter(|word| !word.is_empty()).map(str::parse);
                let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().ok().unwrap_or_default();
                ensure!(!numbers.is_empty(), "expected the numbers of an ending, got `{text}`");
                measure.ending = Some(numbers);
            }
            _ => measure.ends_ending = true,
        }
    }
    Ok(())
}

/// The text of a child, without surrounding spaces.
fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name).and_then(|child| child.text()).map(str::trim)
}

/// A child's text as a whole number.
fn number(node: Node, name: &str) -> Result<Option<i64>> {
    let number = text(node, name).map(|text| {
        let number = text.strip_suffix(".0").unwrap_or(text).parse();
        number.ok().with_context(|| format!("expected a whole number in `{name}`, got `{text}`"))
    });
    number.transpose()
}
