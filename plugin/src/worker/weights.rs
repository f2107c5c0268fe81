//! Loads weights files into performances. A background thread reads new choices, so that no decision is late because of
//! a file.

use continuo_model::generate::{self, Network};
use continuo_model::hash::fnv1a;
use continuo_model::weights_file::Weights;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::shipped::{self, Shipped};
use super::{Performance, WorkerShared};
use crate::background::Background;
use crate::folders;
use crate::state::ChosenWeights;

/// The extension of weights files.
const EXTENSION: &str = "safetensors";

/// Weights that are ready to play.
pub struct Loaded {
    /// The project's choice: its path, and the hash of the file that was read.
    pub chosen: ChosenWeights,
    /// The path of the file that was read, which may differ from the chosen one.
    pub path: String,
    /// The name in menus.
    pub name: String,
    /// What the player should know about them; empty if nothing.
    pub problem: String,
    /// A performance with them, at the start of a piece.
    pub performance: Performance,
}

/// Loads the chosen weights. If the file is missing, as on another machine, it is searched in the player's own folder,
/// by its name and then by the hash in the project.
///
/// # Errors
/// If no file is found, or if it cannot be used: a text for the player.
pub fn load(chosen: &ChosenWeights) -> Result<Loaded, String> {
    load_near(chosen, folders::weights().as_deref())
}

fn load_near(chosen: &ChosenWeights, own_folder: Option<&Path>) -> Result<Loaded, String> {
    let problem = match load_from_path(chosen) {
        Ok(loaded) => return Ok(loaded),
        Err(problem) => problem,
    };
    let found = own_folder.and_then(|folder| {
        let by_name = read(&folder.join(file_name(&chosen.path)));
        by_name.and_then(|file| load_found(chosen, &file, &problem)).or_else(|| {
            let same = |file: &Found| file.hash == chosen.hash;
            weights_files(folder)
                .filter_map(|path| read(&path))
                .find(same)
                .and_then(|file| load_found(chosen, &file, &problem))
        })
    });
    found.ok_or(problem)
}

fn load_from_path(chosen: &ChosenWeights) -> Result<Loaded, String> {
    let (path, expected) = (&chosen.path, &chosen.hash);
    let (name, bytes) = match Shipped::of_path(path)? {
        Some(shipped) => (shipped.source(), Cow::Borrowed(shipped.bytes)),
        None => {
            let bytes = std::fs::read(path);
            let bytes = bytes.map_err(|error| format!("{path}: cannot be opened ({error}); check the path"))?;
            (path.clone(), bytes.into())
        }
    };
    let hash = fingerprint(&bytes);
    let problem = if expected.is_empty() || *expected == hash {
        String::new()
    } else {
        format!(
            "{name}: expected the file that the project was saved with ({expected}), got another ({hash}), which \
             plays now"
        )
    };
    loaded(&name, &bytes, ChosenWeights { path: path.clone(), hash }, path.clone(), problem)
}

/// Loads a file that was found in place of the chosen one. The project keeps its choice. If the file's bytes differ, or
/// the project has no hash, `problem` tells the player.
fn load_found(chosen: &ChosenWeights, file: &Found, problem: &str) -> Option<Loaded> {
    let path = file.path.display().to_string();
    let mut chosen = chosen.clone();
    let problem = if chosen.hash == file.hash {
        String::new()
    } else if chosen.hash.is_empty() {
        chosen.hash.clone_from(&file.hash);
        format!("{problem}; {path} plays, as it has the same name")
    } else {
        format!(
            "{problem}; {path} plays: it has the same name but is another file ({}, not {})",
            file.hash, chosen.hash
        )
    };
    loaded(&path, &file.bytes, chosen, path.clone(), problem).ok()
}

fn loaded(name: &str, bytes: &[u8], chosen: ChosenWeights, path: String, problem: String) -> Result<Loaded, String> {
    let network = shared_network(name, bytes)?;
    let style = network.description().name.clone();
    Ok(Loaded { chosen, path, name: style, problem, performance: Performance::new(network) })
}

/// The networks that instances of this process play, by the hash of their files.
static SHARED: Mutex<Vec<(String, Weak<dyn Network>)>> = Mutex::new(Vec::new());

/// The network of a weights file. If another instance of this process plays the same file, both share its network.
fn shared_network(name: &str, bytes: &[u8]) -> Result<Arc<dyn Network>, String> {
    let hash = fingerprint(bytes);
    // The lock is held while packing, so that instances that load at the same time pack one network. No audio thread
    // takes it.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.retain(|(_, network)| network.strong_count() > 0);
    if let Some(network) = shared.iter().find(|(of, _)| *of == hash).and_then(|(_, network)| network.upgrade()) {
        return Ok(network);
    }
    let weights = Weights::parse(name, bytes).map_err(|error| error.to_string())?;
    let network = generate::network(&weights).map_err(|problem| format!("{name}: {problem}"))?;
    shared.push((hash, Arc::downgrade(&network)));
    Ok(network)
}

/// A file that may be the chosen one.
struct Found {
    path: PathBuf,
    bytes: Vec<u8>,
    hash: String,
}

/// Reads a file; `None` if it cannot be read.
fn read(path: &Path) -> Option<Found> {
    let bytes = std::fs::read(path).ok()?;
    let hash = fingerprint(&bytes);
    Some(Found { path: path.to_path_buf(), bytes, hash })
}

/// Whether a path is that of a weights file, by its extension.
pub fn is_weights_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
}

/// The weights files of a folder, in order of names.
fn weights_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_weights_file(path)).collect();
    paths.sort();
    paths.into_iter()
}

/// The file name in a path of any operating system, or of weights that another build ships.
fn file_name(path: &str) -> String {
    match path.strip_prefix(shipped::PREFIX) {
        Some(name) => format!("{name}.{EXTENSION}"),
        None => path.rsplit(['/', '\\']).next().unwrap_or(path).into(),
    }
}

/// The hash of a file, sixteen hexadecimal digits. Projects save it.
fn fingerprint(bytes: &[u8]) -> String {
    format!("{:016x}", fnv1a(bytes.iter().copied()))
}

/// Loads newly chosen weights.
pub struct NextWeights {
    /// The chosen path that was loaded last or is being loaded. Any other is a new choice.
    path: String,
    loading: Background<Result<Loaded, String>>,
    /// The loaded choice, until its hash is in the project.
    unkept: Option<ChosenWeights>,
}

impl NextWeights {
    /// No new choice: `loaded` plays.
    pub fn after(loaded: &Loaded) -> Self {
        Self {
            path: loaded.chosen.path.clone(),
            loading: Background::new("continuo weights"),
            unkept: Some(loaded.chosen.clone()),
        }
    }

    /// Starts to load a new choice, if there is one. If another thread holds the lock, the next call does.
    pub fn look(&mut self, worker_shared: &WorkerShared) {
        self.unkept.take_if(|read| worker_shared.keep_hash(read));
        let Some(chosen) = worker_shared.weights.try_lock().ok().map(|chosen| chosen.clone()) else { return };
        if !self.loading.is_busy() && chosen.path != self.path {
            self.path.clone_from(&chosen.path);
            let begun = self.loading.begin(move || {
                super::priority::lower();
                load(&chosen)
            });
            if let Err(problem) = begun {
                worker_shared.set_problem(format!("{}: {problem}", self.path));
            }
        }
    }

    /// The new weights, once they are loaded. If the file cannot be used, the status says so and the current weights
    /// keep playing.
    pub fn take(&mut self, worker_shared: &WorkerShared) -> Option<Loaded> {
        self.look(worker_shared);
        let loaded = self.loading.done()?.unwrap_or_else(|problem| Err(format!("{}: {problem}", self.path)));
        match loaded {
            Ok(loaded) => {
                worker_shared.set_playing(&loaded);
                self.unkept = Some(loaded.chosen.clone());
                self.unkept.take_if(|read| worker_shared.keep_hash(read));
                Some(loaded)
            }
            Err(problem) => {
                worker_shared.set_problem(problem);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::SHIPPED;

    /// Writes shipped weights to a file; returns their hash.
    fn write(folder: &Path, name: &str, shipped: usize) -> String {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), SHIPPED[shipped].bytes).unwrap();
        fingerprint(SHIPPED[shipped].bytes)
    }

    #[test]
    fn instances_with_the_same_weights_share_one_network() {
        // Weights with names of their own, as other tests play the shipped ones.
        let file = |name: &str| {
            let mut weights = Weights::parse("folk", SHIPPED[2].bytes).unwrap();
            weights.description.name = name.into();
            weights.to_bytes()
        };
        let [first, second] = [0, 1].map(|_| shared_network("one", &file("One")).unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        let other = shared_network("two", &file("Two")).unwrap();
        assert_eq!((other.description().name.as_str(), Arc::strong_count(&first)), ("Two", 2));
        let gone = Arc::downgrade(&first);
        drop((first, second));
        assert!(gone.upgrade().is_none(), "no instance plays it any more");
    }

    #[test]
    fn weights_of_another_machine_are_found_by_name_and_then_by_hash() {
        let folder = std::env::temp_dir().join(format!("continuo-own-weights-{}", std::process::id()));
        let first = write(&folder, "mine.safetensors", 0);
        let second = write(&folder, "renamed.safetensors", 2);
        std::fs::write(folder.join("broken.safetensors"), b"RIFF").unwrap();
        let find = |path: &str, hash: &str| {
            let chosen = ChosenWeights { path: path.into(), hash: hash.into() };
            let loaded = load_near(&chosen, Some(&folder))?;
            // The project keeps its choice.
            assert_eq!(loaded.chosen.path, path);
            assert!(hash.is_empty() || loaded.chosen.hash == hash);
            Ok::<_, String>((loaded.path.rsplit('/').next().unwrap_or_default().to_string(), loaded.problem))
        };
        let found = |name: &str| Ok((name.to_string(), String::new()));
        assert_eq!(find("/no/such/mine.safetensors", &first), found("mine.safetensors"));
        assert_eq!(find(r"D:\Music\mine.safetensors", &first), found("mine.safetensors"));
        assert_eq!(find("/no/such/theirs.safetensors", &second), found("renamed.safetensors"));
        assert_eq!(find("shipped:mine", &first), found("mine.safetensors"));
        // A broken file with the right name is skipped.
        assert_eq!(find("/no/such/broken.safetensors", &second), found("renamed.safetensors"));
        let (name, problem) = find("/no/such/mine.safetensors", &second).unwrap();
        assert_eq!(name, "mine.safetensors");
        assert!(problem.contains("another file") && problem.contains(&first) && problem.contains(&second), "{problem}");
        let (_, problem) = find("/no/such/mine.safetensors", "").unwrap();
        assert!(
            problem.contains("/no/such/mine.safetensors: cannot be opened") && problem.contains("plays"),
            "{problem}"
        );
        for (path, hash) in [("/no/such/theirs.safetensors", "0123456789abcdef"), ("/no/such/theirs.safetensors", "")] {
            let problem = find(path, hash).unwrap_err();
            assert!(problem.starts_with("/no/such/theirs.safetensors: cannot be opened"), "{problem}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
