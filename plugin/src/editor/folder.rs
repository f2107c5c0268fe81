//! The weights files of a folder and their cards. A background thread reads them; the host's window thread takes the
//! result.

use std::path::{Path, PathBuf};

use super::card::Card;
use crate::background::Background;
use crate::worker::is_weights_file;

/// The contents of a folder, in order of names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folder {
    pub path: PathBuf,
    pub folders: Vec<PathBuf>,
    /// Weights files, each with its card or the reason why it cannot be used.
    pub files: Vec<(PathBuf, Result<Card, String>)>,
    /// Why the folder could not be read; empty if it was.
    pub problem: String,
}

impl Folder {
    fn read(path: PathBuf) -> Self {
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) => return Self { problem: format!("cannot be opened ({error})"), path, ..Self::default() },
        };
        let mut paths: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| !is_hidden(path)).collect();
        paths.sort();
        let files = paths.iter().filter(|path| is_weights_file(path) && path.is_file());
        let files = files.map(|path| (path.clone(), Card::read(path))).collect();
        paths.retain(|path| path.is_dir());
        Self { path, folders: paths, files, problem: String::new() }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// Reads folders in the background.
pub struct FolderReader {
    /// The last folder that was read.
    pub folder: Folder,
    reading: Background<Folder>,
}

impl FolderReader {
    /// No folder has been read.
    pub fn new() -> Self {
        Self { folder: Folder::default(), reading: Background::new("continuo folders") }
    }

    /// Begins to read a folder, unless one is being read.
    pub fn open(&mut self, path: PathBuf) {
        self.begin(|| Folder::read(path));
    }

    /// Creates the folder if it is missing, and begins to read it, unless one is being read.
    pub fn create(&mut self, path: PathBuf) {
        self.begin(|| match std::fs::create_dir_all(&path) {
            Ok(()) => Folder::read(path),
            Err(error) => Folder { problem: format!("cannot be created ({error})"), path, ..Folder::default() },
        });
    }

    fn begin(&mut self, read: impl FnOnce() -> Folder + Send + 'static) {
        if !self.reading.is_busy()
            && let Err(problem) = self.reading.begin(read)
        {
            self.folder.problem = problem;
        }
    }

    /// Updates `folder` if a new one has been read. Returns whether one is still being read.
    pub fn look(&mut self) -> bool {
        match self.reading.done() {
            Some(Ok(folder)) => self.folder = folder,
            Some(Err(problem)) => self.folder.problem = problem,
            None => {}
        }
        self.reading.is_busy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::SHIPPED;

    #[test]
    fn a_folder_shows_its_weights_and_what_is_wrong_with_them() {
        let path = std::env::temp_dir().join(format!("continuo-folder-{}", std::process::id()));
        std::fs::create_dir_all(path.join("folk")).unwrap();
        std::fs::create_dir_all(path.join(".hidden")).unwrap();
        std::fs::write(path.join("a.safetensors"), SHIPPED[0].bytes).unwrap();
        std::fs::write(path.join("b.safetensors"), b"RIFF").unwrap();
        std::fs::write(path.join("notes.txt"), b"").unwrap();
        let mut reader = FolderReader::new();
        reader.open(path.clone());
        while reader.look() {
            std::thread::yield_now();
        }
        let folder = &reader.folder;
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(&folder.folders), ["folk"]);
        let files: Vec<_> = folder.files.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(names(&files), ["a.safetensors", "b.safetensors"]);
        assert_eq!(folder.files[0].1.as_ref().unwrap().name, "Bach chorales");
        assert!(folder.files[1].1.is_err());
        std::fs::remove_dir_all(&path).unwrap();
        reader.open(path);
        while reader.look() {
            std::thread::yield_now();
        }
        assert!(reader.folder.problem.starts_with("cannot be opened"));
        let path = std::env::temp_dir().join(format!("continuo-folder-{}", std::process::id()));
        reader.create(path.join("deep"));
        while reader.look() {
            std::thread::yield_now();
        }
        assert_eq!((reader.folder.problem.as_str(), path.join("deep").is_dir()), ("", true));
        std::fs::remove_dir_all(&path).unwrap();
    }
}
