//! The parameters of the fake host, the same for both formats. Plain values, of no thread.

/// A parameter as the plugin describes it. Hidden ones, VST3's 2,080 MIDI parameters among them, are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamInfo {
    /// The format's id: the same number in both formats with nice-plug.
    pub id: u32,
    /// The name that the player sees.
    pub name: String,
    /// The group's path, `Outer/Inner`; empty at the top.
    pub group: String,
    /// The default, 0 to 1.
    pub default_normalised: f64,
    /// The number of steps between 0 and 1 (one less than the number of choices); 0 for a continuous parameter.
    pub num_steps: u32,
    /// Whether the host may automate it.
    pub automatable: bool,
}

/// A parameter edit that the plugin made itself, from its editor. Values are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "described above")]
pub enum Edit {
    /// The player takes hold of a control.
    Begin { id: u32 },
    /// The control moves.
    Set { id: u32, value: f64 },
    /// The player lets go.
    End { id: u32 },
}
