//! Numbers the bars of the song, through changes of metre. Audio thread.

use crate::audio_thread::positions::SongStep;

/// The most stretches of one metre remembered.
const NUM_STRETCHES: usize = 32;

/// A part of the song in one metre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// The song step of its first bar.
    from_step: SongStep,
    /// The number of that bar, from 0.
    bar: i64,
    /// The steps in a bar.
    bar_steps: i64,
}

/// The known bars of the song. Hosts report only the current bar and metre.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bars {
    /// In song order.
    stretches: [Option<Stretch>; NUM_STRETCHES],
}

impl Bars {
    /// No known bars.
    pub const fn new() -> Self {
        Self { stretches: [None; NUM_STRETCHES] }
    }

    fn known(&self) -> impl DoubleEndedIterator<Item = &Stretch> {
        self.stretches.iter().flatten()
    }

    /// The number, from 0, of the bar that begins on a song step and lasts `bar_steps`. If nothing before it is known,
    /// bars are counted as if the song had one metre. The metre is remembered.
    pub fn number(&mut self, bar_start_step: SongStep, bar_steps: i64) -> i64 {
        let before = self.known().rev().find(|stretch| stretch.from_step <= bar_start_step).copied();
        let Some(before) = before else {
            let bar = match self.known().next() {
                Some(first) => first.bar - ceil(first.from_step - bar_start_step, bar_steps),
                None => (bar_start_step.number() as f64 / bar_steps as f64).round() as i64,
            };
            self.insert(Stretch { from_step: bar_start_step, bar, bar_steps });
            return bar;
        };
        let bar = before.bar + ceil(bar_start_step - before.from_step, before.bar_steps);
        let goes_on = bar_steps == before.bar_steps && (bar_start_step - before.from_step) % bar_steps == 0;
        if !goes_on {
            // A change of metre invalidates everything known after it.
            for stretch in &mut self.stretches {
                stretch.take_if(|stretch| stretch.from_step >= bar_start_step);
            }
            self.insert(Stretch { from_step: bar_start_step, bar, bar_steps });
        }
        bar
    }

    /// Adds a stretch; if there is no room, it replaces the first one.
    fn insert(&mut self, new: Stretch) {
        if self.known().count() == NUM_STRETCHES {
            self.stretches[0] = None;
        }
        if let Some(free) = self.stretches.iter_mut().find(|stretch| stretch.is_none()) {
            *free = Some(new);
        }
        self.stretches.sort_unstable_by_key(|stretch| (stretch.is_none(), stretch.map(|stretch| stretch.from_step)));
    }
}

fn ceil(steps: i64, bar_steps: i64) -> i64 {
    (steps + bar_steps - 1).div_euclid(bar_steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of bars, given as (first step, length).
    fn numbers(bars: &mut Bars, told: &[(i64, i64)]) -> Vec<i64> {
        told.iter().map(|(start, steps)| bars.number(SongStep::new(*start), *steps)).collect()
    }

    #[test]
    fn bars_count_on_through_changes_of_metre() {
        let mut bars = Bars::new();
        let song = [(0, 16), (16, 16), (32, 16), (48, 16), (64, 12), (76, 12), (88, 12), (100, 14), (114, 14)];
        assert_eq!(numbers(&mut bars, &song), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        // After a jump a bar keeps its number.
        assert_eq!(numbers(&mut bars, &[(76, 12), (16, 16), (114, 14), (88, 12)]), [5, 1, 8, 6]);
    }

    #[test]
    fn a_song_that_is_entered_in_the_middle_is_counted_as_if_it_had_one_metre() {
        assert_eq!(numbers(&mut Bars::new(), &[(60, 12), (72, 12), (48, 12), (24, 16)]), [5, 6, 4, 2]);
        assert_eq!(numbers(&mut Bars::new(), &[(-16, 16), (0, 16)]), [-1, 0]);
    }

    #[test]
    fn another_metre_in_place_of_one_that_was_known_replaces_it() {
        let mut bars = Bars::new();
        numbers(&mut bars, &[(0, 16), (16, 12), (28, 12)]);
        assert_eq!(numbers(&mut bars, &[(16, 16), (32, 16)]), [1, 2]);
    }

    #[test]
    fn a_song_of_many_metres_keeps_counting() {
        let mut bars = Bars::new();
        let mut start = 0;
        for bar in 0..200 {
            let steps = if bar % 2 == 0 { 16 } else { 12 };
            assert_eq!(bars.number(SongStep::new(start), steps), bar);
            start += steps;
        }
    }
}
