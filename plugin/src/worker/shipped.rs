//! The shipped weights, which are part of the plugin. Projects save their names. Any thread reads them.

/// The prefix of a path to shipped weights.
pub const PREFIX: &str = "shipped:";

/// Weights that are part of the plugin.
pub struct Shipped {
    /// The name in projects, which must never change, and of the file.
    pub name: &'static str,
    /// The contents of the file.
    pub bytes: &'static [u8],
}

/// Embeds a file of the folder `weights`.
macro_rules! shipped {
    ($name:literal) => {
        Shipped { name: $name, bytes: include_bytes!(concat!("../../../weights/", $name, ".safetensors")) }
    };
}

/// All shipped weights, in the order of menus. A new instance plays the first. To ship further weights, add a line
/// here.
pub static SHIPPED: &[Shipped] = &[
    shipped!("bach"),
    shipped!("performed-piano"),
    shipped!("chopin"),
    shipped!("well-tempered"),
    shipped!("chorale"),
    shipped!("folk"),
    shipped!("piano"),
    shipped!("fugue-major"),
    shipped!("fugue-minor"),
    shipped!("bach-chords"),
];

impl Shipped {
    /// The path in a project; empty for the first.
    pub fn path(&self) -> String {
        if self.name == SHIPPED[0].name { String::new() } else { format!("{PREFIX}{}", self.name) }
    }

    /// The name in errors.
    pub fn source(&self) -> String {
        format!("weights/{}.safetensors", self.name)
    }

    /// The shipped weights of a path in a project; `None` if it is the path of a file.
    ///
    /// # Errors
    /// If the path names weights that this build does not ship.
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

    /// All shipped weights must load, be found by their path, and have a unique style name.
    #[test]
    fn shipped_weights_play_and_are_found_by_their_paths() {
        let mut styles = Vec::new();
        for shipped in SHIPPED {
            let chosen = ChosenWeights { path: shipped.path(), hash: String::new() };
            let loaded = load(&chosen).unwrap_or_else(|problem| panic!("{}: {problem}", shipped.name));
            assert_eq!((loaded.problem.as_str(), &loaded.chosen.path), ("", &chosen.path));
            assert_eq!(Shipped::of_path(&shipped.path()).unwrap().map(|found| found.name), Some(shipped.name));
            styles.push(loaded.name);
        }
        assert_eq!(styles[..2], ["Bach chorales", "Piano, performed"]);
        let all = styles.len();
        styles.sort();
        styles.dedup();
        assert_eq!(styles.len(), all, "two styles have the same name: {styles:?}");
    }

    #[test]
    fn paths_are_told_apart() {
        let found = |path| Shipped::of_path(path).map(|shipped| shipped.map(|shipped| shipped.name));
        assert_eq!(found(""), Ok(Some("bach")));
        assert_eq!(found("shipped:bach"), Ok(Some("bach")));
        assert_eq!(found("shipped:chorale"), Ok(Some("chorale")));
        assert_eq!(found("music/folk.safetensors"), Ok(None));
        let problem = found("shipped:polka").unwrap_err();
        assert!(problem.starts_with("shipped:polka: expected one of bach, performed-piano, chopin"), "{problem}");
    }
}
