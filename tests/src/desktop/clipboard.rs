//! Reads the screen's clipboard. On the test's thread.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use x11rb::CURRENT_TIME;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt};

use super::Desktop;

/// How long its owner may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Desktop {
    /// The clipboard's text; empty if nobody has put one there.
    ///
    /// # Errors
    /// If its owner does not answer.
    pub fn clipboard(&self) -> Result<String> {
        let atom =
            |name: &str| -> Result<u32> { Ok(self.connection.intern_atom(false, name.as_bytes())?.reply()?.atom) };
        let (selection, text, place) = (atom("CLIPBOARD")?, atom("UTF8_STRING")?, atom("CONTINUO_CLIPBOARD")?);
        let window = self.window((1, 1))?;
        self.connection.convert_selection(window, selection, text, place, CURRENT_TIME)?.check()?;
        let start = Instant::now();
        let answer = loop {
            if let Some(Event::SelectionNotify(answer)) = self.connection.poll_for_event()? {
                break answer;
            }
            ensure!(start.elapsed() < PATIENCE, "expected the clipboard's owner to answer within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        };
        let bytes = if answer.property == u32::from(AtomEnum::NONE) {
            Vec::new()
        } else {
            self.connection.get_property(true, window, place, AtomEnum::ANY, 0, 1 << 16)?.reply()?.value
        };
        self.close(window)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
