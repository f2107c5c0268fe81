//! Repeats and endings: the order in which written bars are played.

use anyhow::{Result, ensure};

use super::beats::Beats;

/// More played bars are an error in the file.
const MAX_BARS: usize = 100_000;
const MAX_PASSES: u32 = 32;

/// The signs at a barline.
#[derive(Clone, Debug, Default)]
pub struct Barline {
    /// Where it is.
    pub at: Option<Beats>,
    /// How often the section that ends here is played; 0 if no repeat ends here.
    pub times: u32,
    /// Whether a repeat begins here.
    pub opens: bool,
    /// If an ending begins here, the passes in which its bars are played.
    pub ending: Option<Vec<u32>>,
    /// Whether an ending stops here.
    pub ends_ending: bool,
}

/// A bar as written.
struct Bar {
    from: Beats,
    to: Beats,
    opens: bool,
    times: u32,
    ending: Option<Vec<u32>>,
}

/// The stretches of written time between `start` and `end`, from and to, in the order in which they are played. A
/// repeat without a beginning goes back to the end of the repeat before it. Da capo and segno are not followed.
///
/// # Errors
/// If more than 100,000 bars would be played.
pub fn order(barlines: &[Barline], start: Beats, end: Beats) -> Result<Vec<(Beats, Beats)>> {
    let bars = bars(barlines, start, end);
    let mut played: Vec<(Beats, Beats)> = Vec::new();
    let (mut idx, mut section, mut pass, mut num_played) = (0, 0, 1, 0);
    while let Some(bar) = bars.get(idx) {
        if bar.opens && idx != section {
            (section, pass) = (idx, 1);
        }
        if bar.ending.as_ref().is_some_and(|passes| !passes.contains(&pass)) {
            idx += 1;
            continue;
        }
        num_played += 1;
        ensure!(
            num_played <= MAX_BARS,
            "expected repeats of at most {MAX_BARS} bars, got more; correct its repeat signs"
        );
        match played.last_mut() {
            Some(last) if last.1 == bar.from => last.1 = bar.to,
            _ => played.push((bar.from, bar.to)),
        }
        let next_ending = bars.get(idx + 1).and_then(|next| next.ending.as_ref());
        // An ending followed directly by the next one goes back even without a repeat sign.
        let runs_into_next = bar.ending.is_some() && next_ending.is_some() && bar.ending.as_ref() != next_ending;
        if (bar.times > 0 || runs_into_next) && pass < num_passes(&bars, section, idx) {
            (idx, pass) = (section, pass + 1);
            continue;
        }
        idx += 1;
        if bar.times > 0 || bar.ending.is_some() && next_ending.is_none() {
            (section, pass) = (idx, 1);
        }
    }
    Ok(played)
}

/// How often the section with bar `idx` is played: according to its repeat sign or its highest ending.
fn num_passes(bars: &[Bar], section: usize, idx: usize) -> u32 {
    let later = bars[idx + 1..].iter().take_while(|bar| bar.ending.is_some());
    let endings = bars[section..=idx].iter().chain(later).filter_map(|bar| bar.ending.as_ref()).flatten();
    endings.copied().chain([bars[idx].times]).max().unwrap_or(1).min(MAX_PASSES)
}

fn bars(barlines: &[Barline], start: Beats, end: Beats) -> Vec<Bar> {
    let mut bars: Vec<Bar> = vec![Bar { from: start, to: end, opens: true, times: 0, ending: None }];
    for barline in barlines {
        let Some(at) = barline.at.filter(|&at| at >= start && at <= end) else {
            continue;
        };
        let last = bars.last_mut().expect("the first bar is there");
        let stops = barline.times > 0 || barline.opens || barline.ends_ending;
        let ending = if stops { None } else { last.ending.clone() };
        if at > last.from {
            last.to = at;
            last.times = barline.times;
            bars.push(Bar { from: at, to: end, opens: false, times: 0, ending });
        } else {
            // Several barlines may be at the same time, such as `:|` at the end of a line and `|:` at the start of the
            // next.
            last.ending = ending;
            if let Some(before) = bars.len().checked_sub(2) {
                bars[before].times = bars[before].times.max(barline.times);
            }
        }
        let last = bars.last_mut().expect("the first bar is there");
        last.opens |= barline.opens;
        last.ending = barline.ending.clone().or(last.ending.take());
    }
    bars.retain(|bar| bar.from < bar.to);
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars of a quarter note, named a, b, c ..; `|:`, `:|`, `|`, `||` (ends an ending), `[1,2` after a barline.
    fn check(text: &str, expect: &str) {
        let mut barlines = Vec::new();
        let mut time = 0;
        let at = |time| Some(Beats::new(time, 1).unwrap());
        for word in text.split_whitespace() {
            let mut barline = Barline { at: at(time), ..Barline::default() };
            match word {
                "|:" => barline.opens = true,
                ":|" => barline.times = 2,
                ":|:" => (barline.times, barline.opens) = (2, true),
                "|" => {}
                "||" => barline.ends_ending = true,
                _ if word.starts_with('[') => {
                    barline.ending = Some(word[1..].split(',').map(|n| n.parse().unwrap()).collect());
                }
                _ => {
                    time += 1;
                    continue;
                }
            }
            barlines.push(barline);
        }
        let end = at(time).unwrap();
        let mut names = String::new();
        for (from, to) in order(&barlines, Beats::ZERO, end).unwrap() {
            names.extend((from.to_f64() as u8..to.to_f64() as u8).map(|bar| char::from(b'a' + bar)));
        }
        assert_eq!(names, expect, "{text}");
    }

    #[test]
    fn repeats_are_played() {
        check("a | b | c", "abc");
        check("a | b :| c", "ababc");
        check("a |: b :| c :| d", "abbccd");
        check("|: a :|: b :|", "aabb");
        check("|: a :| |: b :|", "aabb");
        check("a | |: b | c :| |: d :|", "abcbcdd");
    }

    #[test]
    fn endings_are_chosen() {
        check("|: a | [1 b :| [2 c || d", "abacd");
        check("|: a | [1 b :| [2 c :| d", "abacd");
        check("|: a | [1 b :| [2 c |: d :|", "abacdd");
        check("|: a | [1,2 b :| [3 c || d :|", "ababacdd");
        check("|: a | [1 b | [2 c || d", "abacd");
        check("a | b | [1 c | d :| [2 e | f || g | [1 h :| [2 i", "abcdabefghgi");
    }

    #[test]
    fn a_runaway_repeat_is_refused() {
        let mut barlines: Vec<_> =
            (0..5000).map(|n| Barline { at: Some(Beats::new(n, 1).unwrap()), ..Barline::default() }).collect();
        barlines.push(Barline { at: Some(Beats::new(5000, 1).unwrap()), times: 4_000_000, ..Barline::default() });
        let end = Beats::new(5000, 1).unwrap();
        assert!(order(&barlines, Beats::ZERO, end).is_err());
    }
}
