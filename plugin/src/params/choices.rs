//! The values of parameters that are a choice of few. Ids stay as they are: projects save them.

use nice_plug::prelude::Enum;

/// When the network plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Mode {
    /// The other voices answer each played note.
    #[id = "harmonise"]
    Harmonise,
    /// The network continues a phrase after the player stops.
    #[id = "continue"]
    Continue,
    /// Player and network take turns of the same number of the host's bars.
    #[id = "respond"]
    Respond,
    /// The network plays whenever the player does not.
    #[id = "free"]
    Free,
    /// The player plays one part, and the network plays the others along with it, on through the player's rests.
    #[id = "accompany"]
    Accompany,
}

impl Mode {
    /// Whether the network plays along with the player, instead of in turn.
    pub fn plays_along(self) -> bool {
        matches!(self, Self::Harmonise | Self::Accompany)
    }
}

/// Where the network runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Device {
    /// Large networks on a GPU, if there is one; others on the CPU.
    #[id = "auto"]
    Auto,
    /// On the CPU.
    #[id = "cpu"]
    #[name = "CPU"]
    Cpu,
    /// On an NVIDIA GPU, if there is one.
    #[id = "cuda"]
    #[name = "CUDA"]
    Cuda,
}

/// On which channels the player's notes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Input {
    /// Each goes out on the channel of the voice that the plugin assigns it to.
    #[id = "voice"]
    #[name = "As voice"]
    AsVoice,
    /// Each goes out unchanged.
    #[id = "all"]
    #[name = "As it is"]
    AsItIs,
    /// None goes out.
    #[id = "drop"]
    Drop,
    /// Input channels 1 to 4 are the four voices. Each note goes out on its own channel.
    #[id = "channel"]
    #[name = "By channel"]
    ByChannel,
}

/// Where the network may begin its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum EnterOn {
    /// On a bar line.
    #[id = "bar"]
    Bar,
    /// On any beat.
    #[id = "beat"]
    Beat,
}

/// The length of the network's phrases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Phrases {
    /// About eight beats: two bars of 4/4.
    #[id = "auto"]
    Auto,
    #[id = "2"]
    #[name = "2 bars"]
    TwoBars,
    #[id = "4"]
    #[name = "4 bars"]
    FourBars,
    #[id = "8"]
    #[name = "8 bars"]
    EightBars,
}

impl Phrases {
    /// The bars of a phrase; `None` on Auto.
    pub fn bars(self) -> Option<u8> {
        match self {
            Self::Auto => None,
            Self::TwoBars => Some(2),
            Self::FourBars => Some(4),
            Self::EightBars => Some(8),
        }
    }
}

/// The input channel that the plugin hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum HearChannel {
    #[id = "all"]
    All,
    #[id = "1"]
    #[name = "1"]
    C1,
    #[id = "2"]
    #[name = "2"]
    C2,
    #[id = "3"]
    #[name = "3"]
    C3,
    #[id = "4"]
    #[name = "4"]
    C4,
    #[id = "5"]
    #[name = "5"]
    C5,
    #[id = "6"]
    #[name = "6"]
    C6,
    #[id = "7"]
    #[name = "7"]
    C7,
    #[id = "8"]
    #[name = "8"]
    C8,
    #[id = "9"]
    #[name = "9"]
    C9,
    #[id = "10"]
    #[name = "10"]
    C10,
    #[id = "11"]
    #[name = "11"]
    C11,
    #[id = "12"]
    #[name = "12"]
    C12,
    #[id = "13"]
    #[name = "13"]
    C13,
    #[id = "14"]
    #[name = "14"]
    C14,
    #[id = "15"]
    #[name = "15"]
    C15,
    #[id = "16"]
    #[name = "16"]
    C16,
}

impl HearChannel {
    /// The channel, from 0; `None` for all.
    pub fn number(self) -> Option<u8> {
        (self as u8).checked_sub(1)
    }
}

/// Whether a loop of the host repeats the same music.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Loop {
    /// Each pass plays the same.
    #[id = "repeat"]
    Repeat,
    /// Each pass plays something new.
    #[id = "evolve"]
    Evolve,
}

/// One of the four voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Voice {
    #[id = "soprano"]
    Soprano,
    #[id = "alto"]
    Alto,
    #[id = "tenor"]
    Tenor,
    #[id = "bass"]
    Bass,
}

/// The voices that the plugin sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Emit {
    #[id = "all"]
    All,
    #[id = "soprano"]
    Soprano,
    #[id = "alto"]
    Alto,
    #[id = "tenor"]
    Tenor,
    #[id = "bass"]
    Bass,
}
