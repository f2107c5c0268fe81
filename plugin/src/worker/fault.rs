//! Faults for tests: a slow or failing worker in the built bundle. Only builds with debug assertions have them. Worker.

use std::time::Duration;

/// Environment variable: each step takes this many milliseconds longer.
const SLOW_VARIABLE: &str = "CONTINUO_SLOW_MS";
/// Environment variable: only the steps after this many are slow.
const SLOW_AFTER_VARIABLE: &str = "CONTINUO_SLOW_AFTER";
/// Environment variable: the worker's thread panics after this many steps.
const FAIL_VARIABLE: &str = "CONTINUO_FAIL_AFTER";

/// The faults to come, if any.
pub struct Fault {
    slow: Duration,
    quick_steps: u64,
    steps_left: Option<u64>,
}

impl Fault {
    /// Reads the environment variables; no faults in builds without debug assertions.
    pub fn from_environment() -> Self {
        let number = |name: &str| -> Option<u64> {
            std::env::var(name).ok().filter(|_| cfg!(debug_assertions)).and_then(|text| text.parse().ok())
        };
        Self {
            slow: Duration::from_millis(number(SLOW_VARIABLE).unwrap_or(0)),
            quick_steps: number(SLOW_AFTER_VARIABLE).unwrap_or(0),
            steps_left: number(FAIL_VARIABLE),
        }
    }

    /// Sleeps or panics, as set. Called for every step.
    pub fn strike(&mut self) {
        if self.quick_steps > 0 {
            self.quick_steps -= 1;
        } else if !self.slow.is_zero() {
            std::thread::sleep(self.slow);
        }
        if let Some(steps_left) = &mut self.steps_left {
            assert!(*steps_left > 0, "the worker fails, as {FAIL_VARIABLE} demands");
            *steps_left -= 1;
        }
    }
}
