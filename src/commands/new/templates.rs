//! The files of a first plugin, by language. They are kept as files that run, in `templates/`.

use crate::cli::Language;
use crate::commands::setup::quoted;

/// Stands for the plugin's name in a template.
pub(super) const NAME: &str = "{{plugin}}";

/// One file of a plugin.
pub(super) struct Template {
    /// Its path in the plugin's directory.
    pub(super) path: &'static str,
    /// What is in it.
    pub(super) text: &'static str,
    /// Whether it is executed.
    pub(super) is_program: bool,
}

const fn text(path: &'static str, text: &'static str) -> Template {
    Template {
        path,
        text,
        is_program: false,
    }
}

const fn program(path: &'static str, text: &'static str) -> Template {
    Template {
        path,
        text,
        is_program: true,
    }
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $path))
    };
}

static PYTHON: [Template; 3] = [
    text("README.md", template!("python/README.md")),
    text("test_cli.py", template!("python/test_cli.py")),
    program("cli.py", template!("python/cli.py")),
];

static SH: [Template; 3] = [
    text("README.md", template!("sh/README.md")),
    program("test.sh", template!("sh/test.sh")),
    program("cli", template!("sh/cli")),
];

static NODE: [Template; 4] = [
    text("README.md", template!("node/README.md")),
    text("package.json", template!("node/package.json")),
    text("cli.test.js", template!("node/cli.test.js")),
    program("cli", template!("node/cli")),
];

// A manifest of this name would make its directory a package that cargo leaves out of ours.
static RUST: [Template; 8] = [
    text("README.md", template!("rust/README.md")),
    text(".gitignore", template!("rust/ignore")),
    text("Cargo.toml", template!("rust/manifest.toml")),
    text("describe.json", template!("rust/describe.json")),
    text("src/main.rs", template!("rust/main.rs")),
    text("tests/cli.rs", template!("rust/test.rs")),
    program("build.sh", template!("rust/build.sh")),
    program("cli", template!("rust/cli")),
];

/// The files of a plugin. Its program is the last: a server that looks meanwhile finds a whole plugin, or none.
pub(super) fn of(language: Language) -> &'static [Template] {
    match language {
        Language::Python => &PYTHON,
        Language::Sh => &SH,
        Language::Node => &NODE,
        Language::Rust => &RUST,
    }
}

/// The command that tests a plugin in this directory, as a shell takes it.
pub(super) fn test_of(language: Language, directory: &str) -> String {
    let below = |file: &str| quoted(&format!("{directory}/{file}"));
    match language {
        Language::Python => format!("python3 -m unittest discover {}", quoted(directory)),
        Language::Sh => format!("sh {}", below("test.sh")),
        Language::Node => format!("node --test {}", below("cli.test.js")),
        Language::Rust => format!("cargo test --manifest-path {}", below("Cargo.toml")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_written_after_everything_that_it_needs() {
        for language in [
            Language::Python,
            Language::Sh,
            Language::Node,
            Language::Rust,
        ] {
            let files = of(language);
            let last = files.last().expect("a plugin has files");
            assert!(last.is_program && last.path.starts_with("cli"));
            assert!(files.iter().any(|file| file.path == "README.md"));
            assert!(files.iter().any(|file| file.path.contains("test")));
        }
    }
}
