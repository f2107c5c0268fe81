//! `trainer critique`: counts part-writing faults and measures the texture of music in four voices.

pub mod chords;
mod copies;
pub mod counts;
mod figures;
mod loops;
mod reading;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::preparation::four_voices::FourVoices;
use copies::CorpusIndex;
use counts::Counts;
use figures::{Copied, CopiedPiece, Figures, Offender};

/// How many of the pieces with parallels are listed.
const NUM_OFFENDERS: usize = 5;

/// The options of `trainer critique`.
#[derive(clap::Args)]
pub struct CritiqueArgs {
    /// Music files of any format in four voices, or folders that contain them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Count only this split of files that have splits (grid JSON). Default: all.
    #[arg(long)]
    split: Option<String>,
    /// Count only the first steps (16ths) of each piece, to compare pieces of different lengths.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    first_steps: Option<u32>,
    /// A corpus in any of the formats: find the longest run of steps that each piece shares with it.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Use only this split of that corpus, such as `train`. Default: all.
    #[arg(long, requires = "against")]
    against_split: Option<String>,
    /// Stop at the first file or piece that cannot be read or is not in four voices instead of skipping it.
    #[arg(long)]
    strict: bool,
    /// Print a JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Counts what the command line describes and prints the figures.
pub fn run(args: &CritiqueArgs) -> Result<()> {
    let mut pieces = reading::read(&args.paths, args.split.as_deref(), args.strict)?;
    if let Some(steps) = args.first_steps {
        pieces.iter_mut().for_each(|piece| piece.truncate(steps as usize));
    }
    let counts: Vec<Counts> = pieces.iter().map(Counts::of).collect();
    let mut figures = Figures::new(counts.iter().cloned().sum());
    ensure!(figures.counts.onsets > 0, "critique: expected pieces with notes, got {} pieces without any", pieces.len());
    figures.worst = offenders(&pieces, &counts);
    if let Some(path) = &args.against {
        let corpus = reading::read(std::slice::from_ref(path), args.against_split.as_deref(), args.strict)?;
        figures.copied = Some(copied(&pieces, &corpus));
    }
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        print!("{figures}");
    }
    Ok(())
}

/// The pieces with the most parallels, the worst first.
fn offenders(pieces: &[FourVoices], counts: &[Counts]) -> Vec<Offender> {
    let mut worst: Vec<Offender> = pieces
        .iter()
        .zip(counts)
        .map(|(piece, counts)| Offender {
            piece: piece.name.clone(),
            parallels: counts.parallels(),
            crossing_steps: counts.crossing_steps,
            stuck_steps: counts.stuck_steps,
        })
        .filter(|offender| offender.parallels > 0)
        .collect();
    worst.sort_by_key(|offender| std::cmp::Reverse(offender.parallels));
    worst.truncate(NUM_OFFENDERS);
    worst
}

/// The runs of steps that pieces share with `corpus`.
fn copied(pieces: &[FourVoices], corpus: &[FourVoices]) -> Copied {
    let index = CorpusIndex::new(corpus);
    let runs: Vec<_> = pieces.iter().map(|piece| (piece, index.longest_run(piece))).collect();
    let total: usize = runs.iter().filter_map(|(_, run)| run.map(|run| run.steps)).sum();
    let longest = runs.iter().filter_map(|(piece, run)| Some((piece, (*run)?))).max_by_key(|(_, run)| run.steps);
    Copied {
        mean_steps: total as f64 / pieces.len() as f64,
        longest: longest.map(|(piece, run)| CopiedPiece {
            steps: run.steps,
            piece: piece.name.clone(),
            from_step: run.start,
            corpus_piece: corpus[run.corpus_piece].name.clone(),
            corpus_from_step: run.corpus_start,
        }),
    }
}
