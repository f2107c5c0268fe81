//! The notes of a voice, as steps on the grid.

use crate::preparation::four_voices::FourVoices;

/// A note of one voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The step in which it starts.
    pub start: usize,
    /// The step after its last one.
    pub end: usize,
    /// MIDI pitch.
    pub pitch: u8,
}

impl Note {
    /// Its length in steps.
    pub fn steps(self) -> usize {
        self.end - self.start
    }
}

/// The notes of `voice` in order.
pub fn notes_of(piece: &FourVoices, starts: &[u8], voice: usize) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for (step, (row, bits)) in piece.rows.iter().zip(starts).enumerate() {
        let Some(pitch) = row[voice] else { continue };
        match notes.last_mut().filter(|note| note.end == step && note.pitch == pitch && bits >> voice & 1 == 0) {
            Some(note) => note.end += 1,
            None => notes.push(Note { start: step, end: step + 1, pitch }),
        }
    }
    notes
}

/// How long each pitch class sounds in some rows, in steps of one voice.
pub fn pitch_classes<'a>(rows: impl IntoIterator<Item = &'a continuo_model::rules::Row>) -> [f64; 12] {
    let mut classes = [0.0; 12];
    rows.into_iter().flatten().flatten().for_each(|pitch| classes[usize::from(pitch % 12)] += 1.0);
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;

    #[test]
    fn notes_end_at_rests_changes_and_attacks() {
        let music = piece("72* . 55* 48* | 72 . 55* 50* | . 60* 55 50 | 72* 60 55* 50");
        let starts = music.starts();
        let of = |voice| notes_of(&music, &starts, voice).iter().map(|n| (n.start, n.end, n.pitch)).collect::<Vec<_>>();
        assert_eq!(of(0), [(0, 2, 72), (3, 4, 72)]);
        assert_eq!(of(1), [(2, 4, 60)]);
        assert_eq!(of(2), [(0, 1, 55), (1, 3, 55), (3, 4, 55)]);
        assert_eq!(of(3), [(0, 1, 48), (1, 4, 50)]);
        assert_eq!(pitch_classes(&music.rows)[..3], [6.0, 0.0, 3.0]);
    }
}
