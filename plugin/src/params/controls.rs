//! The controls that the network follows: key, density and register. Any thread reads them.

use continuo_model::tokeniser::step_reader::Controls;
use nice_plug::prelude::Enum;

/// The key to play in: `Auto`, then the keys in the order of [`Controls::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Key {
    /// The network decides by what it hears.
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

/// The controls in the network's form, without a cadence: the audio thread adds it, as only it knows when the cadence
/// falls.
pub fn for_network(key: Key, density: Density, register: Register) -> Controls {
    // `Auto` comes first in each enum.
    let after_auto = |index: usize| index.checked_sub(1).map(|class| class as u8);
    Controls {
        key: after_auto(key as usize),
        fermata_in: None,
        density: after_auto(density as usize),
        register: after_auto(register as usize),
        ..Controls::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::key::NUM_KEYS;
    use continuo_model::tokeniser::step_reader::CONTROL_CLASSES;

    #[test]
    fn every_control_has_a_class_in_the_network() {
        assert_eq!(for_network(Key::Auto, Density::Auto, Register::Auto), Controls::default());
        let controls = for_network(Key::AMinor, Density::Sparse, Register::Highest);
        assert_eq!((controls.key, controls.density, controls.register), (Some(21), Some(0), Some(4)));
        assert_eq!(Key::variants().len(), 1 + NUM_KEYS);
        assert_eq!((Density::variants().len(), Register::variants().len()), (1 + CONTROL_CLASSES, 1 + CONTROL_CLASSES));
    }
}
