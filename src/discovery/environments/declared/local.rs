//! Requirements and options that name files or directories: what they mean depends on where they stand.

/// Endings of packages in one file.
const ARCHIVES: [&str; 6] = [".tar.bz2", ".tar.gz", ".tar.xz", ".tgz", ".whl", ".zip"];

/// Whether one of the options in a line names a directory, and no address, where packages are.
pub(super) fn names_a_place(line: &str) -> bool {
    const OPTIONS: [&str; 5] = [
        "--extra-index-url",
        "--find-links",
        "--index-url",
        "-f",
        "-i",
    ];
    let words = line.split([' ', '\t', '=']);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let follows = words
        .windows(2)
        .any(|pair| OPTIONS.contains(&pair[0]) && !pair[1].contains("://"));
    let is_glued = |word: &&str| {
        let value = word.strip_prefix("-f").or_else(|| word.strip_prefix("-i"));
        value.is_some_and(|value| !value.is_empty() && !value.contains("://"))
    };
    follows || words.iter().any(is_glued)
}

/// Whether a requirement is a local file or directory.
pub(super) fn is_local(requirement: &str) -> bool {
    local_path(requirement).is_some()
}

/// The place of a requirement that is a local file or directory.
pub(super) fn local_path(requirement: &str) -> Option<&str> {
    let place = requirement
        .split(" @ ")
        .nth(1)
        .unwrap_or(requirement)
        .trim();
    if let Some(path) = place.strip_prefix("file:") {
        return Some(path.strip_prefix("//").unwrap_or(path));
    }
    let path = place.split(['[', ';']).next().unwrap_or(place).trim();
    let is_archive = ARCHIVES.iter().any(|ending| path.ends_with(ending));
    let is_path =
        !place.contains("://") && (place.starts_with('.') || place.contains('/') || is_archive);
    is_path.then_some(path)
}
