//! Faults that tests wish for, so that a starved or failed worker is seen in the built bundle. Builds without assertions have
//! none. Worker.

use std::time::Duration;

/// Makes every row take this many milliseconds more.
const SLOW_VARIABLE: &str = "CONTINUO_SLOW_MS";
/// Lets this many rows pass before that.
const SLOW_AFTER_VARIABLE: &str = "CONTINUO_SLOW_AFTER";
/// Makes the worker's thread panic after this many rows.
const FAIL_VARIABLE: &str = "CONTINUO_FAIL_AFTER";

/// What goes wrong, if anything.
pub struct Fault {
    slow: Duration,
    quick_rows: u64,
    rows_left: Option<u64>,
}

impl Fault {
    /// As the environment says; nothing in builds without assertions.
    pub fn wished_for() -> Self {
        let number = |name: &str| -> Option<u64> {
            std::env::var(name).ok().filter(|_| cfg!(debug_assertions)).and_then(|text| text.parse().ok())
        };
        Self {
            slow: Duration::from_millis(number(SLOW_VARIABLE).unwrap_or(0)),
            quick_rows: number(SLOW_AFTER_VARIABLE).unwrap_or(0),
            rows_left: number(FAIL_VARIABLE),
        }
    }

    /// Called for every row.
    pub fn strike(&mut self) {
        if self.quick_rows > 0 {
            self.quick_rows -= 1;
        } else if !self.slow.is_zero() {
            std::thread::sleep(self.slow);
        }
        if let Some(rows_left) = &mut self.rows_left {
            assert!(*rows_left > 0, "the worker was wished to fail ({FAIL_VARIABLE})");
            *rows_left -= 1;
        }
    }
}
