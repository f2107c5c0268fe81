//! The weights that the plugin brings along, each under a name that projects keep. Read by any thread.

/// What a path to shipped weights begins with.
pub const PREFIX: &str = "shipped:";

/// Weights that are part of the plugin.
pub struct Shipped {
    /// What projects call them, for good; also the file's name.
    pub name: &'static str,
    /// The file.
    pub bytes: &'static [u8],
}

/// Takes a file of the folder `weights` into the plugin.
macro_rules! shipped {
    ($name:literal) => {
        Shipped { name: $name, bytes: include_bytes!(concat!("../../../weights/", $name, ".safetensors")) }
    };
}

/// All of them, in the order of menus. The first plays from the moment the plugin is loaded. A line here is all it takes to ship
/// another.
pub static SHIPPED: &[Shipped] = &[
    shipped!("bach"),
    shipped!("chorale"),
    shipped!("folk"),
    shipped!("piano"),
    shipped!("fugue-major"),
    shipped!("fugue-minor"),
    shipped!("bach-chords"),
];

impl Shipped {
    /// The path that stands for them in a project: empty for the first.
    pub fn path(&self) -> String {
        if self.name == SHIPPED[0].name { String::new() } else { format!("{PREFIX}{}", self.name) }
    }

    /// What errors call them.
    pub fn source(&self) -> String {
        format!("weights/{}.safetensors", self.name)
    }

    /// What a project's path stands for: shipped weights, `None` for a file, or an error if it names weights that this build does
    /// not bring along.
    pub fn of_path(path: &str) -> Result<Option<&'static Self>, String> {
        if path.is_empty() {
            return Ok(Some(&SHIPPED[0]));
        }
        let Some(name) = path.strip_prefix(PREFIX) else { return Ok(None) };
        let found = SHIPPED.iter().find(|shipped| shipped.name == name);
        found.map(Some).ok_or_else(|| {
            let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
            format!("{path}: expected one of {}, got {name}; choose another style", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ChosenWeights;
    use crate::worker::weights::load;

    /// Whatever is added to the list must load, be found again by its path, and have a name of its own.
    #[test]
    fn all_that_is_shipped_plays_and_is_found_by_its_path() {
        let mut styles = Vec::new();
        for shipped in SHIPPED {
            let chosen = ChosenWeights { path: shipped.path(), hash: String::new() };
            let loaded = load(&chosen).unwrap_or_else(|problem| panic!("{}: {problem}", shipped.name));
            assert_eq!((loaded.problem.as_str(), &loaded.chosen.path), ("", &chosen.path));
            assert_eq!(Shipped::of_path(&shipped.path()).unwrap().map(|found| found.name), Some(shipped.name));
            styles.push(loaded.name);
        }
        assert_eq!(styles[..2], ["Bach chorales", "Chorale"]);
        let all = styles.len();
        styles.sort();
        styles.dedup();
        assert_eq!(styles.len(), all, "two styles have one name: {styles:?}");
    }

    #[test]
    fn paths_are_told_apart() {
        let found = |path| Shipped::of_path(path).map(|shipped| shipped.map(|shipped| shipped.name));
        assert_eq!(found(""), Ok(Some("bach")));
        assert_eq!(found("shipped:bach"), Ok(Some("bach")));
        assert_eq!(found("shipped:chorale"), Ok(Some("chorale")));
        assert_eq!(found("music/folk.safetensors"), Ok(None));
        let problem = found("shipped:polka").unwrap_err();
        assert!(problem.starts_with("shipped:polka: expected one of bach, chorale"), "{problem}");
    }
}
