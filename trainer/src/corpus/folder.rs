//! Files and folders of any mix of formats as pieces, and what was skipped and why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::piece::Piece;
use super::{abc, csv, dcml_tsv, decoding, grid_json, kern, leadsheets, midi, musicxml};

/// A larger file is no music that is learnt from.
const MAX_BYTES: u64 = 512 << 20;

/// As many skipped files as are named.
const NAMED: usize = 20;

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether to take music as it is written, repeats once, instead of as it is played.
    pub as_written: bool,
    /// Whether the first file or piece that cannot be read is an error instead of being skipped.
    pub strict: bool,
}

/// What some files and folders hold.
#[derive(Debug, Default)]
pub struct Corpus {
    /// The pieces, file by file in order of their paths.
    pub pieces: Vec<Piece>,
    /// What could not be read: source and reason.
    pub skipped: Vec<(String, String)>,
    /// How many files were read, by format.
    pub files: BTreeMap<&'static str, usize>,
    /// How many files in folders are of no format that is read, by extension.
    pub passed_over: BTreeMap<String, usize>,
}

/// A format that music comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Midi,
    Kern,
    Abc,
    Json,
    Csv,
    NotesTsv,
    MusicXml,
    CompressedMusicXml,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Midi => "MIDI",
            Self::Kern => "kern",
            Self::Abc => "ABC",
            Self::Json => "JSON",
            Self::Csv => "chorale CSV",
            Self::NotesTsv => "notes TSV",
            Self::MusicXml => "MusicXML",
            Self::CompressedMusicXml => "compressed MusicXML",
        }
    }

    /// The format of a file by its extension, and if that says too little by how it begins.
    fn of(path: &Path, bytes: &[u8]) -> Option<Self> {
        match extension_of(path).as_str() {
            "mid" | "midi" | "smf" => Some(Self::Midi),
            "krn" | "kern" => Some(Self::Kern),
            "abc" => Some(Self::Abc),
            "json" => Some(Self::Json),
            "musicxml" => Some(Self::MusicXml),
            "mxl" => Some(Self::CompressedMusicXml),
            _ => Self::of_beginning(bytes),
        }
    }

    fn of_beginning(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"MThd") {
            return Some(Self::Midi);
        }
        let text = decoding::text(&bytes[..bytes.len().min(4096)]);
        let lines = || text.lines().map(str::trim_end);
        if text.contains("<score-partwise") || text.contains("<score-timewise") {
            Some(Self::MusicXml)
        } else if dcml_tsv::is(&text) {
            Some(Self::NotesTsv)
        } else if lines().next().is_some_and(|line| line == "note0" || line.starts_with("note0,")) {
            Some(Self::Csv)
        } else if lines().find(|line| !line.starts_with('!')).is_some_and(|line| line.starts_with("**kern")) {
            Some(Self::Kern)
        } else if lines().any(|line| line.starts_with("X:")) && lines().any(|line| line.starts_with("K:")) {
            Some(Self::Abc)
        } else {
            None
        }
    }
}

/// How many files and pieces were skipped, and of the first which and why, a line each.
pub fn skipped_in_words(skipped: &[(String, String)]) -> String {
    let mut text = format!("{} files or pieces skipped", skipped.len());
    for (source, reason) in skipped.iter().take(NAMED) {
        text += &format!("\n  skipped {source}: {reason}");
    }
    if skipped.len() > NAMED {
        text += &format!("\n  and {} more; `trainer inspect` lists what cannot be read", skipped.len() - NAMED);
    }
    text
}

fn extension_of(path: &Path) -> String {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase()
}

/// Reads files, and folders with all that is in them, in order of their paths.
///
/// # Errors
/// If a path does not exist; with `strict` also what would be skipped.
pub fn read(paths: &[PathBuf], options: Options) -> Result<Corpus> {
    let mut corpus = Corpus::default();
    for path in paths {
        let mut files = Vec::new();
        collect(path, &mut files).with_context(|| format!("{}: cannot be opened; check the path", path.display()))?;
        files.sort();
        for file in files {
            corpus.file(&file, path.is_dir(), options)?;
        }
    }
    Ok(corpus)
}

/// The files below a path. Links to folders are not followed: they may lead in a circle.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.metadata()?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in path.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() || entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

impl Corpus {
    fn file(&mut self, path: &Path, in_folder: bool, options: Options) -> Result<()> {
        let source = path.display().to_string();
        let bytes = match bytes(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.skip(source, error, options),
        };
        // A table that someone names is meant to be music; in a folder it may be anything.
        let is_named_table = !in_folder && extension_of(path) == "csv";
        let format = Format::of(path, &bytes).or(is_named_table.then_some(Format::Csv));
        let Some(format) = format else {
            if in_folder {
                let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
                *self.passed_over.entry(extension).or_default() += 1;
                return Ok(());
            }
            let error = anyhow::anyhow!(
                "expected MIDI, kern, ABC, MusicXML, JSON, chorale CSV or notes TSV, got none of them; export it as one"
            );
            return self.skip(source, error, options);
        };
        match pieces(format, path, &source, &bytes, !options.as_written) {
            Ok(pieces) => {
                *self.files.entry(format.name()).or_default() += 1;
                for piece in pieces {
                    match piece {
                        Ok(piece) => self.pieces.push(piece),
                        Err(error) => self.skip(source.clone(), error, options)?,
                    }
                }
            }
            Err(error) => self.skip(source, error, options)?,
        }
        Ok(())
    }

    fn skip(&mut self, source: String, error: anyhow::Error, options: Options) -> Result<()> {
        let error = format!("{error:#}");
        // Errors of single pieces begin with their place, which begins with the file.
        let (source, reason) = match error.split_once(": ") {
            Some((place, reason)) if place.starts_with(&source) => (place.to_string(), reason.to_string()),
            _ => (source, error),
        };
        if options.strict {
            bail!("{source}: {reason}");
        }
        self.skipped.push((source, reason));
        Ok(())
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let cannot = "cannot be opened; check the file and its permissions";
    let size = path.metadata().context(cannot)?.len();
    if size > MAX_BYTES {
        bail!("expected at most {MAX_BYTES} bytes, got {size}");
    }
    std::fs::read(path).context(cannot)
}

fn pieces(format: Format, path: &Path, source: &str, bytes: &[u8], played: bool) -> Result<Vec<Result<Piece>>> {
    let text = || decoding::text(bytes);
    let one = |piece: Result<Piece>| vec![piece];
    Ok(match format {
        Format::Midi => midi::read(source, bytes)?,
        Format::Kern => one(kern::read(source, &text(), played)),
        Format::Abc => abc::read(source, &text(), played)?,
        Format::Csv => one(csv::read(source, &text())),
        Format::MusicXml => one(musicxml::read(source, &text(), played)),
        Format::CompressedMusicXml => one(musicxml::read(source, &musicxml::unpack(bytes)?, played)),
        Format::NotesTsv => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let measures = path.with_file_name(name.replace(".notes.tsv", ".measures.tsv"));
            let measures = if measures == path { None } else { std::fs::read(measures).ok() };
            one(dcml_tsv::read(source, &text(), measures.map(|bytes| decoding::text(&bytes)).as_deref()))
        }
        Format::Json => {
            let json = serde_json::from_str(&text()).context("expected JSON")?;
            match () {
                () if leadsheets::is(&json) => leadsheets::read(source, &json),
                () if grid_json::is(&json) => grid_json::read(source, &json),
                () => bail!("expected splits of grids, a list of grids or of lead sheets, got other JSON"),
            }
        }
    })
}
