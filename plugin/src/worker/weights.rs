//! From a weights file to a performance that can play, beside the worker's thread, so that reading a file never makes a row late.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use continuo_model::generate::{self, Network};
use continuo_model::weights_file::Weights;

use super::shipped::{self, Shipped};
use super::{Desk, Performance};
use crate::folders;
use crate::state::ChosenWeights;

/// What weights files are called.
pub const EXTENSION: &str = "safetensors";

/// Weights that are ready to play.
pub struct Loaded {
    /// What the choice has come to: its path, and the hash of what was read.
    pub chosen: ChosenWeights,
    /// What was read, in the end.
    pub path: String,
    /// What a menu calls them.
    pub name: String,
    /// What there is to say of them, or empty.
    pub problem: String,
    /// They, at the start of a piece, with all the room that they need.
    pub performance: Performance,
}

/// Reads the chosen weights, or says what is wrong. Weights that are not where the project says, as on another machine, are looked
/// for in the player's own folder: by the file's name, then by the bytes that the project was saved with.
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
            "{name}: expected the file that the project was saved with ({expected}), got another ({hash}); it plays"
        )
    };
    loaded(&name, &bytes, ChosenWeights { path: path.clone(), hash }, path.clone(), problem)
}

/// Plays a file in place of the chosen one, which the project goes on naming; says so unless it is the very same.
fn load_found(chosen: &ChosenWeights, file: &Found, problem: &str) -> Option<Loaded> {
    let path = file.path.display().to_string();
    let mut chosen = chosen.clone();
    let problem = if chosen.hash == file.hash {
        String::new()
    } else if chosen.hash.is_empty() {
        chosen.hash.clone_from(&file.hash);
        format!("{problem}; {path} plays, by its name")
    } else {
        format!("{problem}; {path} plays: it has the name but is another file ({}, not {})", file.hash, chosen.hash)
    };
    loaded(&path, &file.bytes, chosen, path.clone(), problem).ok()
}

fn loaded(name: &str, bytes: &[u8], chosen: ChosenWeights, path: String, problem: String) -> Result<Loaded, String> {
    let network = shared_network(name, bytes)?;
    let style = network.description().name.clone();
    Ok(Loaded { chosen, path, name: style, problem, performance: Performance::new(network) })
}

/// The packed networks that some instance of this process plays, by the hash of their files.
static SHARED: Mutex<Vec<(String, Weak<dyn Network>)>> = Mutex::new(Vec::new());

/// The network of a weights file: the one that another instance of this process plays, if it is the same file. What is
/// read is dropped once it is packed.
fn shared_network(name: &str, bytes: &[u8]) -> Result<Arc<dyn Network>, String> {
    let hash = fingerprint(bytes);
    // Held while packing, so that instances that are loaded at once pack one network. No audio thread waits for it.
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

/// Reads a file, if it is there.
fn read(path: &Path) -> Option<Found> {
    let bytes = std::fs::read(path).ok()?;
    let hash = fingerprint(&bytes);
    Some(Found { path: path.to_path_buf(), bytes, hash })
}

/// The weights files of a folder, in order of their names.
fn weights_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_weights = |path: &PathBuf| path.extension().is_some_and(|extension| extension == EXTENSION);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_weights).collect();
    paths.sort();
    paths.into_iter()
}

/// The file's name in a path of any system, or of weights that another build brings along.
fn file_name(path: &str) -> String {
    match path.strip_prefix(shipped::PREFIX) {
        Some(name) => format!("{name}.{EXTENSION}"),
        None => path.rsplit(['/', '\\']).next().unwrap_or(path).into(),
    }
}

/// FNV-1a, 64 bits, in hexadecimal digits.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash))
}

/// Weights that have been chosen and do not play yet.
pub struct NextWeights {
    /// The path that was read or is being read; another one on the desk is a new choice.
    path: String,
    loading: Option<JoinHandle<Result<Loaded, String>>>,
    /// What was read, until the project knows its hash.
    unkept: Option<ChosenWeights>,
}

/// The plugin's code may be unloaded once the worker has ended: nothing may run in it then.
impl Drop for NextWeights {
    fn drop(&mut self) {
        if let Some(loading) = self.loading.take() {
            // What it has read is not wanted any more.
            let _ = loading.join();
        }
    }
}

impl NextWeights {
    /// Nothing is chosen but what plays.
    pub fn after(loaded: &Loaded) -> Self {
        Self { path: loaded.chosen.path.clone(), loading: None, unkept: Some(loaded.chosen.clone()) }
    }

    /// Looks whether there is a new choice, and starts to read it; later, where the host or the editor holds it just now.
    pub fn look(&mut self, desk: &Desk) {
        self.unkept.take_if(|read| desk.keep_hash(read));
        let Some(chosen) = desk.weights.try_lock().ok().map(|chosen| chosen.clone()) else { return };
        if self.loading.is_none() && chosen.path != self.path {
            self.path.clone_from(&chosen.path);
            let reading = std::thread::Builder::new().name("continuo weights".into()).spawn(move || {
                super::priority::lower();
                load(&chosen)
            });
            match reading {
                Ok(reading) => self.loading = Some(reading),
                Err(error) => desk.say(format!("{}: no thread to read it ({error})", self.path)),
            }
        }
    }

    /// The new weights, once they are there. If the file cannot be used, the status says so and the current weights keep playing.
    pub fn take(&mut self, desk: &Desk) -> Option<Loaded> {
        self.look(desk);
        let loading = self.loading.take_if(|loading| loading.is_finished())?;
        let loaded = loading.join().unwrap_or_else(|_| Err(format!("{}: reading it has failed", self.path)));
        match loaded {
            Ok(loaded) => {
                desk.put_down(&loaded);
                self.unkept = Some(loaded.chosen.clone());
                self.unkept.take_if(|read| desk.keep_hash(read));
                Some(loaded)
            }
            Err(problem) => {
                desk.say(problem);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::SHIPPED;

    /// The weights file in `folder` under a name.
    fn write(folder: &Path, name: &str, shipped: usize) -> String {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), SHIPPED[shipped].bytes).unwrap();
        fingerprint(SHIPPED[shipped].bytes)
    }

    #[test]
    fn instances_with_the_same_weights_share_one_network() {
        // Files of their own: other tests play what is shipped.
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
        assert!(gone.upgrade().is_none(), "nobody plays it any more");
    }

    #[test]
    fn weights_of_another_machine_are_found_by_name_and_then_by_their_bytes() {
        let folder = std::env::temp_dir().join(format!("continuo-own-weights-{}", std::process::id()));
        let first = write(&folder, "mine.safetensors", 0);
        let second = write(&folder, "renamed.safetensors", 2);
        std::fs::write(folder.join("broken.safetensors"), b"RIFF").unwrap();
        let find = |path: &str, hash: &str| {
            let chosen = ChosenWeights { path: path.into(), hash: hash.into() };
            let loaded = load_near(&chosen, Some(&folder))?;
            // The project goes on naming what it named.
            assert_eq!(loaded.chosen.path, path);
            assert!(hash.is_empty() || loaded.chosen.hash == hash);
            Ok::<_, String>((loaded.path.rsplit('/').next().unwrap_or_default().to_string(), loaded.problem))
        };
        let found = |name: &str| Ok((name.to_string(), String::new()));
        assert_eq!(find("/no/such/mine.safetensors", &first), found("mine.safetensors"));
        assert_eq!(find(r"D:\Music\mine.safetensors", &first), found("mine.safetensors"));
        assert_eq!(find("/no/such/theirs.safetensors", &second), found("renamed.safetensors"));
        assert_eq!(find("shipped:mine", &first), found("mine.safetensors"));
        // A file that is no use is not taken for its name.
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
