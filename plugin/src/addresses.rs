//! The project's web addresses, which hosts show. All derive from `repository` in the workspace's Cargo.toml; while
//! that is empty, hosts get none.

/// The project's repository, or an empty text.
pub const PROJECT: &str = env!("CARGO_PKG_REPOSITORY");

/// README.md's chapter on using the plugin.
pub const MANUAL: Option<&str> =
    if PROJECT.is_empty() { None } else { Some(concat!(env!("CARGO_PKG_REPOSITORY"), "#use-it-in-a-daw")) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_is_a_chapter_of_the_readme() {
        assert!(include_str!("../../README.md").contains("\n## Use it in a DAW\n"));
        assert_eq!(MANUAL.is_some(), PROJECT.starts_with("https://"), "`{PROJECT}` is no web address");
        assert!(MANUAL.is_none_or(|manual| manual == format!("{PROJECT}#use-it-in-a-daw")), "{MANUAL:?}");
    }
}
