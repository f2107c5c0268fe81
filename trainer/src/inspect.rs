//! `trainer inspect`: summarises music files, lists what cannot be read and why, and describes weights files.

mod figures;
mod weights;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::corpus::folder::{self, Options};
use figures::{CorpusFigures, Tally};
use weights::WeightsFigures;

/// How many entries of a list are printed; `--json` prints all.
const SHOWN: usize = 20;

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Music files, folders, or weights files (.safetensors).
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Take repeats once, as written, instead of as played.
    #[arg(long)]
    as_written: bool,
    /// Stop at the first file or piece that cannot be read instead of skipping it.
    #[arg(long)]
    strict: bool,
    /// Print a JSON object instead of a report.
    #[arg(long)]
    json: bool,
}

/// Everything that is printed.
#[derive(Serialize)]
struct Report {
    /// Absent if only weights were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<CorpusFigures>,
    weights: Vec<WeightsFigures>,
}

/// Inspects the paths on the command line and prints a report.
pub fn run(args: &InspectArgs) -> Result<()> {
    let is_weights = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "safetensors");
    let (weights, music): (Vec<PathBuf>, Vec<PathBuf>) = args.paths.iter().cloned().partition(is_weights);
    let mut report = Report { corpus: None, weights: Vec::new() };
    for path in &weights {
        report.weights.push(WeightsFigures::read(path)?);
    }
    if !music.is_empty() {
        let options = Options { as_written: args.as_written, strict: args.strict, ..Options::default() };
        report.corpus = Some(CorpusFigures::of(folder::read(&music, options)?));
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    for weights in &report.weights {
        print!("{}", weights.in_words()?);
    }
    if let Some(corpus) = &report.corpus {
        print!("{}", in_words(corpus)?);
    }
    Ok(())
}

fn in_words(corpus: &CorpusFigures) -> Result<String, std::fmt::Error> {
    let c = corpus;
    let mut text = String::new();
    writeln!(text, "files      {}", tally(&c.files))?;
    writeln!(text, "pieces     {}, {} skipped, {} read with remarks", c.pieces, c.skipped.len(), c.with_remarks)?;
    if !c.splits.is_empty() {
        writeln!(text, "splits     {}", tally(&c.splits))?;
    }
    writeln!(text, "parts      {}", tally(&c.parts))?;
    writeln!(text, "notes      {}, pitches {} to {}", c.notes, c.lowest_pitch, c.highest_pitch)?;
    writeln!(text, "length     {:.0} quarter notes", c.quarters)?;
    writeln!(
        text,
        "bars       {}, {} not as long as their metre; {} pieces with a pickup",
        c.bars, c.odd_bars, c.pickups
    )?;
    writeln!(text, "keys       {}", tally(&c.keys))?;
    writeln!(text, "           {} as written, {} estimated", c.keys_written, c.pieces - c.keys_written)?;
    writeln!(text, "metres     {}", tally(&c.metres))?;
    writeln!(text, "durations  {}", tally(&c.durations))?;
    writeln!(text, "tempo      known of {} pieces", c.tempos)?;
    if !c.passed_over.is_empty() {
        writeln!(text, "not music  {}", tally(&c.passed_over))?;
    }
    list(&mut text, "remarks", &c.remarks)?;
    list(&mut text, "skipped", &c.skipped)?;
    Ok(text)
}

/// `a: 12, b: 3`.
fn tally(counts: &Tally) -> String {
    let shown = counts.iter().take(SHOWN).map(|(what, count)| format!("{what}: {count}"));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    let rest: usize = counts.iter().skip(SHOWN).map(|(_, count)| count).sum();
    if rest > 0 {
        text += &format!(", others: {rest}");
    }
    if text.is_empty() { "none known".into() } else { text }
}

fn list(text: &mut String, name: &str, entries: &[(String, String)]) -> std::fmt::Result {
    for (source, reason) in entries.iter().take(SHOWN) {
        writeln!(text, "{name:10} {source}: {reason}")?;
    }
    if entries.len() > SHOWN {
        writeln!(text, "{name:10} and {} more; --json lists all", entries.len() - SHOWN)?;
    }
    Ok(())
}
