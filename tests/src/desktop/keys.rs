//! Which key types which letter. Plain values, read from the X server once.

use anyhow::Result;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::ConnectionExt;
use x11rb::rust_connection::RustConnection;

const RETURN: u32 = 0xff0d;
const SHIFT: u32 = 0xffe1;
const CONTROL: u32 = 0xffe3;

/// The keys' unshifted letters.
pub struct Keyboard {
    /// (key, keysym)
    keys: Vec<(u8, u32)>,
}

impl Keyboard {
    /// The server's keyboard.
    pub fn of(connection: &RustConnection) -> Result<Self> {
        let setup = connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping = connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let rows = mapping.keysyms.chunks(usize::from(mapping.keysyms_per_keycode));
        Ok(Self { keys: rows.zip(first..=last).map(|(row, key)| (key, row[0])).collect() })
    }

    /// The key that types a letter without shift; Latin letters are their own keysyms.
    pub fn key_of(&self, letter: char) -> Option<u8> {
        self.with_keysym(if letter == '\n' { RETURN } else { u32::from(letter) })
    }

    /// The left shift key.
    pub fn shift(&self) -> Option<u8> {
        self.with_keysym(SHIFT)
    }

    /// The left control key.
    pub fn control(&self) -> Option<u8> {
        self.with_keysym(CONTROL)
    }

    fn with_keysym(&self, keysym: u32) -> Option<u8> {
        self.keys.iter().find(|(_, symbol)| *symbol == keysym).map(|(key, _)| *key)
    }
}
