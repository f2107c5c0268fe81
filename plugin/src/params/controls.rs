//! The controls that the network follows: key, density and register. Any thread reads them.

use continuo_model::tokeniser::step_reader::Controls;
use nice_plug::prelude::Enum;

/// The key to play in: `Auto`, then the keys in the order of [`Controls::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Key {
    /// The key that the player plays in.
    #[id = "auto"]
    Auto,
    #[id = "c_major"]
    #[name = "C major"]
    CMajor,
    #[id = "c_sharp_major"]
    #[name = "C sharp major"]
    CSharpMajor,
    #[id = "d_major"]
    #[name = "D major"]
    DMajor,
    #[id = "e_flat_major"]
    #[name = "E flat major"]
    EFlatMajor,
    #[id = "e_major"]
    #[name = "E major"]
    EMajor,
    #[id = "f_major"]
    #[name = "F major"]
    FMajor,
    #[id = "f_sharp_major"]
    #[name = "F sharp major"]
    FSharpMajor,
    #[id = "g_major"]
    #[name = "G major"]
    GMajor,
    #[id = "a_flat_major"]
    #[name = "A flat major"]
    AFlatMajor,
    #[id = "a_major"]
    #[name = "A major"]
    AMajor,
    #[id = "b_flat_major"]
    #[name = "B flat major"]
    BFlatMajor,
    #[id = "b_major"]
    #[name = "B major"]
    BMajor,
    #[id = "c_minor"]
    #[name = "C minor"]
    CMinor,
    #[id = "c_sharp_minor"]
    #[name = "C sharp minor"]
    CSharpMinor,
    #[id = "d_minor"]
    #[name = "D minor"]
    DMinor,
    #[id = "e_flat_minor"]
    #[name = "E flat minor"]
    EFlatMinor,
    #[id = "e_minor"]
    #[name = "E minor"]
    EMinor,
    #[id = "f_minor"]
    #[name = "F minor"]
    FMinor,
    #[id = "f_sharp_minor"]
    #[name = "F sharp minor"]
    FSharpMinor,
    #[id = "g_minor"]
    #[name = "G minor"]
    GMinor,
    #[id = "a_flat_minor"]
    #[name = "A flat minor"]
    AFlatMinor,
    #[id = "a_minor"]
    #[name = "A minor"]
    AMinor,
    #[id = "b_flat_minor"]
    #[name = "B flat minor"]
    BFlatMinor,
    #[id = "b_minor"]
    #[name = "B minor"]
    BMinor,
}

/// How often notes start, from long chords to running eighths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Density {
    /// The network decides.
    #[id = "auto"]
    Auto,
    #[id = "sparse"]
    Sparse,
    #[id = "calm"]
    Calm,
    #[id = "even"]
    Even,
    #[id = "lively"]
    Lively,
    #[id = "busy"]
    Busy,
}

/// The register of the voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Register {
    /// The network decides.
    #[id = "auto"]
    Auto,
    #[id = "lowest"]
    Lowest,
    #[id = "low"]
    Low,
    #[id = "middle"]
    Middle,
    #[id = "high"]
    High,
    #[id = "highest"]
    Highest,
}

/// Density and register in the network's form. The audio thread adds the key and the cadence, as only it knows what the
/// player plays and when the cadence falls.
pub fn for_network(density: Density, register: Register) -> Controls {
    Controls { density: after_auto(density as usize), register: after_auto(register as usize), ..Controls::default() }
}

/// The key in the network's numbers; `None` for `Auto`.
pub fn key_number(key: Key) -> Option<u8> {
    after_auto(key as usize)
}

/// `Auto` comes first in each enum.
fn after_auto(index: usize) -> Option<u8> {
    index.checked_sub(1).map(|class| class as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::key::NUM_KEYS;
    use continuo_model::tokeniser::step_reader::CONTROL_CLASSES;

    #[test]
    fn every_control_has_a_class_in_the_network() {
        assert_eq!(for_network(Density::Auto, Register::Auto), Controls::default());
        let controls = for_network(Density::Sparse, Register::Highest);
        assert_eq!((controls.density, controls.register), (Some(0), Some(4)));
        assert_eq!([Key::Auto, Key::CMajor, Key::AMinor].map(key_number), [None, Some(0), Some(21)]);
        assert_eq!(Key::variants().len(), 1 + NUM_KEYS);
        assert_eq!((Density::variants().len(), Register::variants().len()), (1 + CONTROL_CLASSES, 1 + CONTROL_CLASSES));
    }
}
