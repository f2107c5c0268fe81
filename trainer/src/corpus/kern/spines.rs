//! The spines of a kern file and their current times.

use anyhow::{Result, bail, ensure};

use crate::corpus::beats::Beats;
use crate::corpus::written::WrittenPart;

/// More spines are an error in the file.
const MAX_SPINES: usize = 1000;

/// A column of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Spine {
    /// Whether it contains notes.
    pub kern: bool,
    /// Its part, if it contains notes.
    pub part: usize,
    /// When its last note ends.
    end: Beats,
}

/// The spines from left to right.
#[derive(Debug, Default)]
pub struct Spines {
    list: Vec<Spine>,
    seen_kern: bool,
    /// When the last note of the ended spines ends.
    over: Option<Beats>,
}

impl Spines {
    /// Begins spines at `time` from a line of exclusive interpretations.
    pub fn begin(&mut self, tokens: &[&str], time: Beats, parts: &mut Vec<WrittenPart>) -> Result<()> {
        for token in tokens {
            self.list.push(Spine { kern: false, part: 0, end: time });
            self.interpret(self.list.len() - 1, token, time, parts)?;
        }
        ensure!(self.list.len() <= MAX_SPINES, "expected at most {MAX_SPINES} spines, got {}", self.list.len());
        Ok(())
    }

    /// `**kern` gives the spine a part of its own. Any other `**` makes it a spine without notes.
    fn interpret(&mut self, idx: usize, token: &str, time: Beats, parts: &mut Vec<WrittenPart>) -> Result<()> {
        let Some(kind) = token.strip_prefix("**") else {
            bail!("expected every spine to begin with `**`, got `{}`", super::cut(token));
        };
        let kern = kind == "kern";
        if kern && !self.list[idx].kern {
            parts.push(WrittenPart::default());
            self.seen_kern = true;
        }
        self.list[idx] = Spine { kern, part: parts.len().saturating_sub(1), end: time };
        Ok(())
    }

    /// Applies a line of interpretations that may split, join, exchange, add or end spines at `time`.
    pub fn change(&mut self, tokens: &[&str], time: Beats, parts: &mut Vec<WrittenPart>) -> Result<()> {
        let old = std::mem::take(&mut self.list);
        let mut exchanged: Option<usize> = None;
        let joins = joins(&old, tokens);
        for (idx, (&spine, token)) in old.iter().zip(tokens).enumerate() {
            match *token {
                "*^" => self.list.extend([spine, spine]),
                "*v" if joins[idx] => {
                    let before = self.list.last_mut().expect("a spine joins the one before it");
                    before.end = before.end.max(spine.end);
                }
                "*x" => {
                    self.list.push(spine);
                    let here = self.list.len() - 1;
                    match exchanged.take() {
                        Some(there) => self.list.swap(there, here),
                        None => exchanged = Some(here),
                    }
                }
                "*+" => self.list.extend([spine, Spine { kern: false, part: 0, end: time }]),
                "*-" => self.over = self.over.max(Some(spine.end)),
                token => {
                    self.list.push(spine);
                    if token.starts_with("**") {
                        self.interpret(self.list.len() - 1, token, time, parts)?;
                    }
                }
            }
        }
        ensure!(exchanged.is_none(), "expected two spines to exchange (`*x`), got one");
        ensure!(self.list.len() <= MAX_SPINES, "expected at most {MAX_SPINES} spines, got {}", self.list.len());
        Ok(())
    }

    /// The time of the next line: the earliest end of a note after `now`, otherwise `now`.
    pub fn time(&self, now: Beats) -> Beats {
        self.ends().filter(|&end| end > now).min().unwrap_or(now)
    }

    /// Realigns all spines at a barline, at the time that most of them have reached. Returns that time and whether all
    /// agreed.
    pub fn bring_together(&mut self, now: Beats) -> (Beats, bool) {
        let ends: Vec<Beats> = self.ends().collect();
        let time = most_common(&ends).unwrap_or(now).max(now);
        self.list.iter_mut().for_each(|spine| spine.end = time);
        (time, ends.iter().all(|&end| end == time))
    }

    /// When the last note ends.
    pub fn latest(&self) -> Beats {
        self.ends().chain(self.over).max().unwrap_or(Beats::ZERO)
    }

    fn ends(&self) -> impl Iterator<Item = Beats> {
        self.list.iter().filter(|spine| spine.kern).map(|spine| spine.end)
    }

    /// All spines.
    pub fn iter(&self) -> impl Iterator<Item = &Spine> {
        self.list.iter()
    }

    /// How many there are now.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none has begun, or all have ended.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any spine so far contained notes.
    pub fn seen_kern(&self) -> bool {
        self.seen_kern
    }

    /// When the last note of a spine ends.
    pub fn end_of(&self, idx: usize) -> Beats {
        self.list[idx].end
    }

    /// The part of a spine.
    pub fn part_of(&self, idx: usize) -> usize {
        self.list[idx].part
    }

    /// Sets the end of a spine's note.
    pub fn set_end(&mut self, idx: usize, end: Beats) {
        self.list[idx].end = end;
    }
}

/// Which spines of a line join the one before. Of several adjacent `*v`, those of the same part join, unless one of
/// them would remain alone; then all join.
fn joins(spines: &[Spine], tokens: &[&str]) -> Vec<bool> {
    let mut joins = vec![false; spines.len()];
    let mut from = 0;
    while let Some(first) = (from..tokens.len()).find(|&idx| tokens[idx] == "*v") {
        from = (first..tokens.len()).find(|&idx| tokens[idx] != "*v").unwrap_or(tokens.len());
        let part = |idx: usize| (spines[idx].kern, spines[idx].part);
        let beside =
            |idx: usize| idx > first && part(idx) == part(idx - 1) || idx + 1 < from && part(idx) == part(idx + 1);
        let by_part = (first..from).all(beside);
        for (idx, joins) in joins.iter_mut().enumerate().take(from).skip(first + 1) {
            *joins = !by_part || part(idx) == part(idx - 1);
        }
    }
    joins
}

/// The most common of `times`; if there are several, the latest.
pub fn most_common(times: &[Beats]) -> Option<Beats> {
    let votes = |time: Beats| times.iter().filter(|&&other| other == time).count();
    times.iter().copied().max_by_key(|&time| (votes(time), time))
}
