//! How loud the player plays: on average, and on each 16th of the bar.

/// How many 16ths of a bar have accents of their own; in longer bars, 16ths that are this far apart share theirs.
const NUM_PLACES: usize = 32;
/// The average covers about this many notes.
const NUM_NOTES: u8 = 6;
/// The level before the player has played.
const FIRST_LEVEL: f32 = 0.63;
/// How far an accent moves with each note towards what was played.
const ACCENT_RATE: f32 = 0.5;

/// Estimates the player's level and accents, note by note. Silence changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayersTouch {
    level: f32,
    /// Counts up to [`NUM_NOTES`].
    num_notes: u8,
    /// How much louder than the level each 16th of the bar is.
    accents: [f32; NUM_PLACES],
}

impl Default for PlayersTouch {
    fn default() -> Self {
        Self { level: FIRST_LEVEL, num_notes: 0, accents: [0.0; NUM_PLACES] }
    }
}

impl PlayersTouch {
    /// Hears a note of this velocity (0 to 1). `step_in_bar` is its 16th of the bar, if bars are known.
    pub fn push(&mut self, velocity: f32, step_in_bar: Option<u8>) {
        self.num_notes = (self.num_notes + 1).min(NUM_NOTES);
        let louder = velocity - self.level;
        self.level += louder / f32::from(self.num_notes);
        // The first note tells the level; what is louder than that is an accent.
        if let Some(accent) = step_in_bar.filter(|_| self.num_notes > 1).map(|step| &mut self.accents[place(step)]) {
            *accent += (louder - *accent) * ACCENT_RATE;
        }
    }

    /// Whether any note has been heard.
    pub fn has_heard(&self) -> bool {
        self.num_notes > 0
    }

    /// The mean velocity of recent notes, 0 to 1.
    pub fn level(&self) -> f32 {
        self.level
    }

    /// How much louder than the level the player plays on a 16th of the bar; 0 if unknown.
    pub fn accent(&self, step_in_bar: Option<u8>) -> f32 {
        step_in_bar.map_or(0.0, |step| self.accents[place(step)])
    }
}

fn place(step_in_bar: u8) -> usize {
    usize::from(step_in_bar) % NUM_PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_mean_of_recent_notes() {
        let mut touch = PlayersTouch::default();
        assert!(!touch.has_heard());
        [0.2, 0.4].iter().for_each(|velocity| touch.push(*velocity, None));
        assert!((touch.level() - 0.3).abs() < 1e-6 && touch.has_heard());
        (0..20).for_each(|_| touch.push(0.9, None));
        assert!((touch.level() - 0.9).abs() < 0.03);
    }

    #[test]
    fn accents_are_told_apart_by_their_16th() {
        let mut touch = PlayersTouch::default();
        for step in (0..64).map(|step| step % 16).filter(|step| step % 2 == 0) {
            touch.push(if step % 8 == 4 { 0.9 } else { 0.5 }, Some(step));
        }
        let accents = [0, 4, 8, 12].map(|step| touch.accent(Some(step)));
        assert!(accents[1].min(accents[3]) > 0.15 && accents[0].max(accents[2]) < 0.0, "{accents:?}");
        assert_eq!([touch.accent(Some(5)), touch.accent(None)], [0.0; 2]);
    }
}
