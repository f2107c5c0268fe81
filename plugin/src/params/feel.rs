//! How the plugin plays what the network decides: dynamics, deviations and swing. Any thread reads it.

use continuo_model::expression::{Swing as Ratio, SwungNotes};
use nice_plug::prelude::Enum;

/// Which notes swing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Swing {
    /// As the player swings.
    #[id = "auto"]
    Auto,
    /// None.
    #[id = "off"]
    Off,
    /// Eighths, by the swing amount.
    #[id = "eighths"]
    #[name = "8ths"]
    Eighths,
    /// Sixteenths, by the swing amount.
    #[id = "sixteenths"]
    #[name = "16ths"]
    Sixteenths,
}

/// Where the swing comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum SwingSource {
    /// There is none, and the player's notes are heard as if straight.
    #[default]
    Off,
    /// The player.
    Player,
    /// The parameters.
    Set(Ratio),
}

/// How decided notes are played. By default exactly as decided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Feel {
    /// How much velocities vary with the music, 0 to 1.
    pub dynamics: f32,
    /// How much timing and velocities deviate, 0 to 1.
    pub humanise: f32,
    /// The swing.
    pub swing: SwingSource,
}

impl Swing {
    /// The swing of this choice, with `amount` as the ratio where it is set.
    pub fn by(self, amount: f32) -> SwingSource {
        match self {
            Self::Auto => SwingSource::Player,
            Self::Off => SwingSource::Off,
            Self::Eighths => SwingSource::Set(Ratio::new(SwungNotes::Eighths, amount.into())),
            Self::Sixteenths => SwingSource::Set(Ratio::new(SwungNotes::Sixteenths, amount.into())),
        }
    }
}
