//! The scales that a player may choose, and what they are for the network. Any thread reads them.

use continuo_model::key::{ALL_CLASSES, contains, is_minor, scale, tonic, transposed};
use nice_plug::prelude::Enum;

/// The names of the twelve pitch classes, from C up, as the key parameter spells them.
pub const CLASS_NAMES: [&str; 12] =
    ["C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"];

/// A scale on the key's tonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum Scale {
    /// As the key says.
    #[default]
    #[id = "key"]
    #[name = "Major or minor"]
    MajorOrMinor,
    #[id = "dorian"]
    Dorian,
    #[id = "phrygian"]
    Phrygian,
    #[id = "lydian"]
    Lydian,
    #[id = "mixolydian"]
    Mixolydian,
    #[id = "locrian"]
    Locrian,
    #[id = "harmonic_minor"]
    #[name = "Harmonic minor"]
    HarmonicMinor,
    #[id = "melodic_minor"]
    #[name = "Melodic minor"]
    MelodicMinor,
    #[id = "major_pentatonic"]
    #[name = "Major pentatonic"]
    MajorPentatonic,
    #[id = "minor_pentatonic"]
    #[name = "Minor pentatonic"]
    MinorPentatonic,
    #[id = "blues"]
    Blues,
    /// The pitch classes that the player has switched on, whatever the tonic.
    #[id = "custom"]
    Custom,
}

impl Scale {
    /// The degrees in semitones above the tonic, bit n for n; `None` if they do not depend on the tonic alone.
    fn degrees(self) -> Option<u16> {
        let degrees: &[u16] = match self {
            Self::MajorOrMinor | Self::Custom => return None,
            Self::Dorian => &[0, 2, 3, 5, 7, 9, 10],
            Self::Phrygian => &[0, 1, 3, 5, 7, 8, 10],
            Self::Lydian => &[0, 2, 4, 6, 7, 9, 11],
            Self::Mixolydian => &[0, 2, 4, 5, 7, 9, 10],
            Self::Locrian => &[0, 1, 3, 5, 6, 8, 10],
            Self::HarmonicMinor => &[0, 2, 3, 5, 7, 8, 11],
            // Rising and falling.
            Self::MelodicMinor => &[0, 2, 3, 5, 7, 8, 9, 10, 11],
            Self::MajorPentatonic => &[0, 2, 4, 7, 9],
            Self::MinorPentatonic => &[0, 3, 5, 7, 10],
            Self::Blues => &[0, 3, 5, 6, 7, 10],
        };
        Some(degrees.iter().map(|degree| 1 << degree).sum())
    }

    /// Whether its third is minor; `None` if the scale does not say.
    pub fn is_minor(self) -> Option<bool> {
        self.degrees().map(|degrees| !contains(degrees, 4))
    }
}

/// The key and the scale that the player has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tonality {
    /// The key, 0 to 23; `None` for *Auto*.
    pub key: Option<u8>,
    /// The scale.
    pub scale: Scale,
    /// The pitch classes of the custom scale.
    pub custom: u16,
}

impl Tonality {
    /// The nearest of the 24 keys that the network knows: on the tonic of `key`, with the scale's third.
    pub fn network_key(&self, key: Option<u8>) -> Option<u8> {
        let key = key?;
        let on_tonic = |degree: u8| contains(self.custom, tonic(key) + degree);
        let minor = match (self.scale, on_tonic(3), on_tonic(4)) {
            (Scale::Custom, true, false) => true,
            (Scale::Custom, false, true) => false,
            _ => self.scale.is_minor().unwrap_or(is_minor(key)),
        };
        Some(tonic(key) + if minor { 12 } else { 0 })
    }

    /// The pitch classes of the scale on the tonic of `key`; `None` if they depend on a key that is not known. A custom
    /// scale without notes has all.
    pub fn classes(&self, key: Option<u8>) -> Option<u16> {
        match self.scale.degrees() {
            Some(degrees) => key.map(|key| transposed(degrees, tonic(key).into())),
            None if self.scale == Scale::Custom => Some(if self.custom == 0 { ALL_CLASSES } else { self.custom }),
            None => key.map(scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pitch classes of a scale on the tonic of a key, and the key that the network is given.
    fn check(scale: Scale, key: u8, classes: &str, network_key: u8) {
        let tonality = Tonality { key: Some(key), scale, custom: 0b1000_1001 };
        let found = tonality.classes(tonality.key).unwrap();
        let names = (0..12).filter(|class| contains(found, *class)).map(|class| CLASS_NAMES[usize::from(class)]);
        assert_eq!(names.collect::<Vec<_>>().join(", "), classes, "{scale:?}");
        assert_eq!(tonality.network_key(tonality.key), Some(network_key), "{scale:?}");
    }

    #[test]
    fn scales_have_their_notes_and_the_nearest_key() {
        check(Scale::MajorOrMinor, 2, "C sharp, D, E, F sharp, G, A, B", 2);
        check(Scale::MajorOrMinor, 21, "C, D, E, F, F sharp, G, A flat, A, B", 21);
        // The key gives the tonic alone.
        check(Scale::Dorian, 2, "C, D, E, F, G, A, B", 14);
        check(Scale::Dorian, 14, "C, D, E, F, G, A, B", 14);
        check(Scale::Phrygian, 4, "C, D, E, F, G, A, B", 16);
        check(Scale::Lydian, 17, "C, D, E, F, G, A, B", 5);
        check(Scale::Mixolydian, 7, "C, D, E, F, G, A, B", 7);
        check(Scale::Locrian, 11, "C, D, E, F, G, A, B", 23);
        check(Scale::HarmonicMinor, 9, "C, D, E, F, A flat, A, B", 21);
        check(Scale::MelodicMinor, 21, "C, D, E, F, F sharp, G, A flat, A, B", 21);
        check(Scale::MajorPentatonic, 0, "C, D, E, G, A", 0);
        check(Scale::MinorPentatonic, 9, "C, D, E, G, A", 21);
        check(Scale::Blues, 12, "C, E flat, F, F sharp, G, B flat", 12);
        check(Scale::Custom, 12, "C, E flat, G", 12);
        check(Scale::Custom, 0, "C, E flat, G", 12);
        check(Scale::Custom, 20, "C, E flat, G", 8);
    }

    #[test]
    fn without_a_key_only_a_custom_scale_has_notes() {
        let of = |scale, custom| Tonality { key: None, scale, custom }.classes(None);
        assert_eq!([of(Scale::MajorOrMinor, 0), of(Scale::Dorian, 0)], [None, None]);
        assert_eq!([of(Scale::Custom, 5), of(Scale::Custom, 0)], [Some(5), Some(ALL_CLASSES)]);
        assert_eq!(Tonality::default().network_key(None), None);
    }
}
