//! The names that a plugin gives its notes: an end that names another note than the one that sounds ends nothing in a host. Plain
//! values, of no thread.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{Block, EventKind};

/// The name of each note that sounds, by channel and key; `None` if it has none.
#[derive(Debug, Default)]
pub(super) struct NoteNames(BTreeMap<(u8, u8), Option<i32>>);

impl NoteNames {
    /// Follows a block.
    ///
    /// # Errors
    /// If an end names another note.
    pub(super) fn follow(&mut self, block: &Block) -> Result<()> {
        for (event, name) in block.events.iter().zip(&block.voice_ids) {
            match event.kind {
                EventKind::NoteOn { channel, key, .. } => {
                    self.0.insert((channel, key), *name);
                }
                EventKind::NoteOff { channel, key, .. } => {
                    let sounding = self.0.remove(&(channel, key)).flatten();
                    // A host's note that has no name is ended by any.
                    let same = sounding.is_none() || name.is_none() || sounding == *name;
                    ensure!(same, "channel {channel} key {key}: the note {sounding:?} sounds, and {name:?} is ended");
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
