//! The themes' contrasts and colour differences.

use super::*;

/// The linear light of red, green and blue.
fn linear(colour: Color32) -> [f64; 3] {
    [colour.r(), colour.g(), colour.b()].map(|byte| {
        let value = f64::from(byte) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
}

/// The contrast of two colours by the Web Content Accessibility Guidelines 2.2, 1 to 21.
fn contrast(a: Color32, b: Color32) -> f64 {
    let luminance = |colour| {
        let [r, g, b] = linear(colour);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Matrices on linear light for normal vision, protanopia, deuteranopia and tritanopia (G. Machado, M. Oliveira, L.
/// Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1).
const VISIONS: [[[f64; 3]; 3]; 4] = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
];

/// A colour in Oklab (B. Ottosson, 2020), whose distances match perceived differences, as seen with one kind of vision.
fn seen(colour: Color32, vision: &[[f64; 3]; 3]) -> [f64; 3] {
    let light = linear(colour);
    let times = |row: &[f64; 3], v: &[f64; 3]| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
    let light = vision.map(|row| times(&row, &light).clamp(0.0, 1.0));
    let cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ];
    let cones = cones.map(|row| times(&row, &light).cbrt());
    let lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ];
    lab.map(|row| times(&row, &cones))
}

#[test]
fn contrast_matches_known_values() {
    assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
    // #777777 on white is the well-known case that just fails the guidelines.
    assert!((contrast(Color32::from_gray(0x77), Color32::WHITE) - 4.48).abs() < 0.005);
}

#[test]
fn every_text_has_enough_contrast_to_its_background() {
    for theme in [DARK, LIGHT] {
        let grounds = [theme.ground, theme.black_row, theme.panel, theme.control, theme.control_hot, theme.fill];
        let mut pairs: Vec<_> = grounds.iter().flat_map(|g| [(theme.ink, *g), (theme.faint_ink, *g)]).collect();
        pairs.push((theme.on_accent, theme.accent));
        pairs.extend([theme.ground, theme.panel].map(|ground| (theme.warning, ground)));
        pairs.extend([theme.ground, theme.panel].map(|ground| (theme.accent, ground)));
        for (text, ground) in pairs {
            let contrast = contrast(text, ground);
            assert!(contrast >= 4.5, "{text:?} on {ground:?}: {contrast:.2}, expected 4.5 (dark: {})", theme.dark);
        }
    }
}

#[test]
fn notes_have_enough_contrast_and_voices_differ_in_every_vision() {
    for (theme, velocity) in [DARK, LIGHT].into_iter().flat_map(|theme| [1, 64, 127].map(|velocity| (theme, velocity)))
    {
        let dark = theme.dark;
        for voice in 0..5 {
            for ground in [theme.ground, theme.black_row] {
                // The guidelines' minimum for graphics.
                let contrast = contrast(theme.note(voice, velocity), ground);
                assert!(contrast >= 3.0, "voice {voice} at {velocity}: {contrast:.2}, expected 3 (dark: {dark})");
            }
        }
        for (i, vision) in VISIONS.iter().enumerate() {
            for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
                let (p, q) = (seen(theme.note(a, velocity), vision), seen(theme.note(b, velocity), vision));
                let distance = p.iter().zip(&q).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
                assert!(distance > 0.08, "voices {a} and {b} at {velocity}, vision {i}: {distance:.3} (dark: {dark})");
            }
        }
    }
}

#[test]
fn louder_notes_have_more_contrast() {
    for theme in [DARK, LIGHT] {
        for voice in 0..5 {
            let contrasts = [1, 64, 127].map(|velocity| contrast(theme.note(voice, velocity), theme.ground));
            assert!(contrasts[0] < contrasts[1] && contrasts[1] < contrasts[2], "voice {voice}: {contrasts:?}");
        }
    }
}
