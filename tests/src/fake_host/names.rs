//! Checks the ids that a plugin gives its notes: in a host, a note-off with another id than the sounding note's ends
//! nothing. Plain values, of no thread.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{Block, EventKind};

/// The id of each sounding note, by channel and key; `None` if it has none.
#[derive(Debug, Default)]
pub(super) struct NoteNames(BTreeMap<(u8, u8), Option<i32>>);

impl NoteNames {
    /// Follows a block.
    ///
    /// # Errors
    /// If a note-off has another note's id.
    pub(super) fn follow(&mut self, block: &Block) -> Result<()> {
        for (event, id) in block.events.iter().zip(&block.voice_ids) {
            match event.kind {
                EventKind::NoteOn { channel, key, .. } => {
                    self.0.insert((channel, key), *id);
                }
                EventKind::NoteOff { channel, key, .. } => {
                    let sounding = self.0.remove(&(channel, key)).flatten();
                    // Any note-off ends a note without an id.
                    let same = sounding.is_none() || id.is_none() || sounding == *id;
                    ensure!(
                        same,
                        "channel {channel} key {key}: the note has id {sounding:?}, but its note-off has id {id:?}"
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_host::Event;

    fn check(on: Option<i32>, off: Option<i32>, is_sound: bool) {
        let (channel, key, velocity) = (1, 60, 0.5);
        let kinds = [EventKind::NoteOn { channel, key, velocity }, EventKind::NoteOff { channel, key, velocity }];
        let events = kinds.map(|kind| Event { timing: 0, kind }).to_vec();
        let block = Block { events, voice_ids: vec![on, off], ..Block::default() };
        assert_eq!(NoteNames::default().follow(&block).is_ok(), is_sound, "{on:?} ended by {off:?}");
    }

    #[test]
    fn an_end_that_names_another_note_is_caught() {
        check(Some(3), Some(3), true);
        check(Some(3), None, true);
        check(None, None, true);
        check(None, Some(3), true);
        check(Some(3), Some(4), false);
    }
}
