//! `trainer compare`: music beside a corpus. Figures of both, the longest copied run, and how well boosted trees tell
//! them apart.

mod copies;
mod figures;
mod judging;
mod music;
mod report;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::corpus::folder::{self, Options};
use crate::preparation::{Families, HoldOut, Identity, known_groups};
use figures::windows;
use judging::Side;
use music::{Music, Reading, WINDOW_BARS};
use report::{Copied, Report};

/// The options of `trainer compare`.
#[derive(clap::Args)]
pub struct CompareArgs {
    /// Music files of any format, or folders that contain them.
    #[arg(required = true)]
    music: Vec<PathBuf>,
    /// The corpus to compare with: files or folders in any of the formats.
    #[arg(long, required = true, num_args = 1.., value_name = "CORPUS")]
    with: Vec<PathBuf>,
    /// A table in a folder of the corpus or beside it that names the pieces of one work, as for `preparation.groups` in
    /// a recipe. Near-duplicates count as one work without it.
    #[arg(long, value_name = "TABLE")]
    groups: Option<String>,
    /// Leave out the first bars of the music: the seed that it continues.
    #[arg(long, value_name = "BARS", default_value_t = 0)]
    skip_bars: u16,
    /// Take repeats once, as written, instead of as played.
    #[arg(long)]
    as_written: bool,
    /// Lengthen notes as the sustain pedal does.
    #[arg(long)]
    pedal: bool,
    /// Compare the drums (channel 10 of MIDI files) instead of the notes with pitches.
    #[arg(long)]
    drums: bool,
    /// Stop at the first file or piece that cannot be read instead of skipping it.
    #[arg(long)]
    strict: bool,
    /// Print a JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Compares what the command line names and prints the report.
pub fn run(args: &CompareArgs) -> Result<()> {
    let music = read(&args.music, args, usize::from(args.skip_bars))?;
    let corpus = read(&args.with, args, 0)?;
    let groups = known_groups(&args.with, args.groups.as_deref())?;
    let report = compare(&music, &corpus, &groups);
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

/// Reads the pieces, without their first bars, that are then long enough for a window. Lists skipped files on standard
/// error.
fn read(paths: &[PathBuf], args: &CompareArgs, skip_bars: usize) -> Result<Vec<Music>> {
    let options = Options { as_written: args.as_written, strict: args.strict, drums: args.drums };
    let corpus = folder::read(paths, options)?;
    let reading = Reading { drums: args.drums, pedal: args.pedal };
    let pieces: Vec<Music> = corpus.pieces.iter().filter_map(|piece| Music::of(piece, reading)).collect();
    let names = || paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if let ([(source, reason), ..], true) = (corpus.skipped.as_slice(), pieces.is_empty()) {
        bail!("{source}: {reason}");
    }
    if !corpus.skipped.is_empty() {
        eprintln!("{}", folder::skipped_in_words(&corpus.skipped));
    }
    ensure!(!corpus.files.is_empty(), "{}: expected music files, got none of a known format", names());
    let kind = if args.drums { "drum strokes" } else { "notes" };
    ensure!(!pieces.is_empty(), "{}: expected music with {kind}, got none", names());
    let read = pieces.len();
    let long = pieces.into_iter().map(|piece| piece.without_first(skip_bars));
    let long: Vec<Music> = long.filter(|piece| piece.bars >= WINDOW_BARS).collect();
    ensure!(!long.is_empty(), "{}: expected pieces of at least {WINDOW_BARS} bars, got {read} shorter ones", names());
    if long.len() < read {
        eprintln!("{} of {read} pieces are shorter than {WINDOW_BARS} bars and are left out", read - long.len());
    }
    Ok(long)
}

/// Compares `music` with `corpus`. `groups` names pieces of one work.
fn compare(music: &[Music], corpus: &[Music], groups: &[Vec<String>]) -> Report {
    let identities: Vec<Identity> = music.iter().chain(corpus).map(Music::identity).collect();
    let mut families = Families::of(&identities, HoldOut::default().shared_runs);
    families.join_named(&identities, groups);
    let works = families.numbers();
    let (music_works, corpus_works) = works.split_at(music.len());
    let [first, second] = [(music, music_works), (corpus, corpus_works)].map(|(pieces, works)| {
        let mut side = Side::default();
        for (piece, work) in pieces.iter().zip(works) {
            side.windows.extend(windows(piece));
            side.works.resize(side.windows.len(), *work);
        }
        side
    });
    let runs = copies::longest_runs(music, corpus, corpus_works);
    let (of_music, of_corpus) = runs.split_at(music.len());
    let copied = [(music, of_music), (corpus, of_corpus)].map(|(pieces, runs)| Copied::new(pieces, runs, corpus));
    Report::new([music.len(), corpus.len()], [&first, &second], copied)
}

#[cfg(test)]
mod tests {
    use continuo_model::random::SplitMix64;

    use super::music::tests::music;
    use super::*;

    /// Pieces of eight bars with chords below a line; `chords` of them, the line alone if 0.
    fn pieces(rng_seed: u64, count: usize, chords: usize, velocity: &str) -> Vec<Music> {
        let mut rng = SplitMix64::new(rng_seed);
        let mut piece = |n: usize| {
            let mut words = String::new();
            let mut step = 0;
            while step < 128 {
                let length = [2, 2, 4, 4, 8][rng.next_below(5)];
                words += &format!("{step}+{length}:{}{velocity} ", 72 + rng.next_below(12));
                if chords > 0 && step % 8 == 0 {
                    let root = 48 + rng.next_below(7);
                    words += &format!("{step}+{}:{root}.{}{velocity} ", 4 * chords, root + 4);
                }
                step += length;
            }
            Music { name: format!("{n}"), source: format!("{n}.mid"), ..music(words.trim()) }
        };
        (0..count).map(&mut piece).collect()
    }

    #[test]
    fn an_imitation_in_one_line_is_told_apart_and_the_same_source_is_not() {
        let corpus = pieces(1, 60, 2, "");
        let auc = |music: &[Music]| {
            let json = serde_json::to_value(compare(music, &corpus, &[])).unwrap();
            [&json["auc"], &json["auc_within_corpus"]].map(|auc| auc.as_f64().unwrap())
        };
        let [one_line, within] = auc(&pieces(2, 60, 0, ""));
        assert!(one_line > 0.99, "{one_line}");
        assert!((0.35..0.65).contains(&within), "{within}");
        let [same, _] = auc(&pieces(3, 60, 2, ""));
        assert!((0.35..0.65).contains(&same), "{same}");
    }

    #[test]
    fn velocities_count_only_if_both_sides_have_several() {
        let corpus = pieces(1, 30, 2, "v80");
        let report = |music: Vec<Music>| serde_json::to_value(compare(&music, &corpus, &[])).unwrap();
        let constant = report(pieces(2, 30, 2, "v64"));
        assert!(constant["auc"].as_f64().unwrap() < 0.7, "{constant}");
        let without = report(pieces(2, 30, 2, ""));
        assert!(without["music"]["velocity_mean"].is_null() && without["velocity_distance"].is_null(), "{without}");
        assert!(without["auc"].as_f64().unwrap() < 0.7);
        let varied = |loud: u8| -> Vec<Music> {
            let both = [pieces(5, 20, 2, "v70"), pieces(6, 20, 2, &format!("v{loud}"))];
            both.concat()
        };
        let told = serde_json::to_value(compare(&varied(71), &varied(90), &[])).unwrap();
        assert!(told["features"].as_array().unwrap().iter().any(|name| name == "velocity_mean"), "{told}");
    }

    #[test]
    fn a_copy_is_found_and_a_work_is_not_its_own_copy() {
        let mut corpus = pieces(1, 6, 2, "");
        corpus.push(Music { name: "other edition".into(), ..corpus[0].clone() });
        let notes = corpus[0].notes().count();
        let json = serde_json::to_value(compare(&corpus[..1], &corpus, &[])).unwrap();
        assert_eq!(json["copied"]["music"]["longest"]["notes"], notes);
        let within = json["copied"]["corpus"]["longest"]["notes"].as_u64().unwrap();
        assert!((within as usize) < notes / 4, "{within} of {notes}");
    }
}
