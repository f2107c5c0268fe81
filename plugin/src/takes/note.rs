//! A note of a take, and its saved form. Plain values, of no thread.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The saved lane of a generated note is higher by this.
const GENERATED: u8 = 16;

/// A note of a take. Times are ticks of the take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeNote {
    /// The lane, which is the MIDI channel, from 0.
    pub lane: u8,
    /// Whether the network generated it, not the player.
    pub generated: bool,
    /// MIDI key.
    pub key: u8,
    /// 1 to 127.
    pub velocity: u8,
    /// When it starts; for a generated note, on the grid.
    pub start: i64,
    /// Its length; for a generated note, on the grid.
    pub length: u32,
    /// How much later than `start` it sounded.
    late: i16,
    /// How much longer than `length` it sounded.
    longer: i16,
}

impl TakeNote {
    /// The most bytes of a saved note: lane, key, velocity, start, length, two shifts, and the punctuation.
    pub const MAX_SAVED_BYTES: usize = 2 + 3 + 3 + 14 + 10 + 6 + 6 + 9;

    /// A note that has not ended. `start` is on the grid, `heard_start` is when it sounded.
    pub fn new(lane: u8, generated: bool, key: u8, velocity: u8, start: i64, heard_start: i64) -> Self {
        let late = shift(heard_start.saturating_sub(start));
        Self { lane: lane % GENERATED, generated, key, velocity, start, length: 1, late, longer: 0 }
    }

    /// The lane in the saved form.
    fn saved_lane(&self) -> u8 {
        self.lane + if self.generated { GENERATED } else { 0 }
    }

    /// When it ends, on the grid.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(i64::from(self.length))
    }

    /// When its sound started.
    pub fn heard_start(&self) -> i64 {
        self.start.saturating_add(i64::from(self.late))
    }

    /// When its sound ended, after `heard_start`.
    pub fn heard_end(&self) -> i64 {
        let end = self.end().saturating_add(i64::from(self.late) + i64::from(self.longer));
        end.max(self.heard_start().saturating_add(1))
    }

    /// Ends it: at `end` on the grid, at `heard_end` in sound. If `end` is not after the start, the sounding length
    /// becomes its length.
    pub fn end_at(&mut self, end: i64, heard_end: i64) {
        let heard_length = heard_end.saturating_sub(self.heard_start()).max(1);
        let length = end.saturating_sub(self.start);
        let length = if length > 0 { length } else { heard_length };
        self.length = length.clamp(1, i64::from(u32::MAX)) as u32;
        self.longer = shift(heard_length - i64::from(self.length));
    }

    /// Cuts off everything before `start`. A note that has not ended keeps its length.
    pub fn begin_at(&mut self, start: i64) {
        let gone = start.saturating_sub(self.start);
        if gone > 0 {
            self.start = start;
            self.length = i64::from(self.length).saturating_sub(gone).max(1) as u32;
            (self.late, self.longer) = (0, (self.longer.saturating_add(self.late)));
        }
    }

    /// Cuts off everything after `end`.
    pub fn cut_at(&mut self, end: i64) {
        if self.end() > end || self.heard_end() > end {
            let (end, heard_end) = (self.end().min(end), self.heard_end().min(end));
            self.end_at(end, heard_end);
        }
    }

    /// Moves the note by `ticks`.
    pub fn move_by(&mut self, ticks: i64) {
        self.start = self.start.saturating_add(ticks);
    }

    /// The number of bytes of its saved form, with a comma.
    pub fn saved_bytes(&self) -> usize {
        let shifts = if self.is_shifted() { digits(self.late.into()) + digits(self.longer.into()) + 2 } else { 0 };
        let bytes = [self.saved_lane(), self.key, self.velocity].map(|number| digits(number.into()));
        bytes.iter().sum::<usize>() + digits(self.start) + digits(self.length.into()) + 7 + shifts
    }

    fn is_shifted(&self) -> bool {
        (self.late, self.longer) != (0, 0)
    }
}

/// Limits the difference between sound and grid to the saved range, which is larger than any delay.
fn shift(ticks: i64) -> i16 {
    ticks.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn digits(number: i64) -> usize {
    number.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1 + usize::from(number < 0)
}

/// Saved as a list of numbers, as there are thousands: lane (plus 16 if generated), key, velocity, start, length; then
/// `late` and `longer` unless both are 0.
impl Serialize for TakeNote {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { key, velocity, start, length, late, longer, .. } = *self;
        let saved_lane = self.saved_lane();
        if self.is_shifted() {
            (saved_lane, key, velocity, start, length, late, longer).serialize(serializer)
        } else {
            (saved_lane, key, velocity, start, length).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for TakeNote {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Saved(u8, u8, u8, i64, u32, #[serde(default)] i64, #[serde(default)] i64);
        let Saved(saved_lane, key, velocity, start, length, late, longer) = Saved::deserialize(deserializer)?;
        let (lane, generated) = (saved_lane % GENERATED, saved_lane >= GENERATED);
        Ok(Self { lane, generated, key, velocity, start, length, late: shift(late), longer: shift(longer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(saved: &str, heard: (i64, i64), again: &str) {
        let note: TakeNote = serde_json::from_str(saved).unwrap();
        assert_eq!((note.heard_start(), note.heard_end()), heard, "{saved}");
        let text = serde_json::to_string(&note).unwrap();
        assert_eq!(text, again);
        assert_eq!(note.saved_bytes(), text.len() + 1, "{text}");
    }

    #[test]
    fn shifts_are_saved_unless_they_are_0() {
        check("[17,60,127,960,480]", (960, 1440), "[17,60,127,960,480]");
        check("[17,60,127,960,480,48]", (1008, 1488), "[17,60,127,960,480,48,0]");
        check("[1,60,127,-960,480,-5,10]", (-965, -475), "[1,60,127,-960,480,-5,10]");
        check("[1,60,127,960,480,0,0]", (960, 1440), "[1,60,127,960,480]");
        // Even in a damaged project a note ends after it starts.
        check("[1,60,127,0,1,99999,-99999]", (32767, 32768), "[1,60,127,0,1,32767,-32768]");
    }

    #[test]
    fn a_note_lies_on_the_grid_and_is_heard_beside_it() {
        let mut note = TakeNote::new(1, true, 60, 100, 960, 1008);
        note.end_at(1920, 1968);
        assert_eq!((note.start, note.end(), note.heard_start(), note.heard_end()), (960, 1920, 1008, 1968));
        note.end_at(1920, 2100);
        assert_eq!((note.end(), note.heard_end()), (1920, 2100));
        // An end before the start on the grid, as when the player released all keys: the sounding length counts.
        note.end_at(960, 1100);
        assert_eq!((note.end(), note.heard_end()), (960 + 92, 1100));
        note.end_at(1920, 1968);
        note.cut_at(1440);
        assert_eq!((note.end(), note.heard_start(), note.heard_end()), (1440, 1008, 1440));
        note.begin_at(1200);
        assert_eq!((note.start, note.end(), note.heard_start(), note.heard_end()), (1200, 1440, 1200, 1440));
    }
}
