//! Programs of the package index that nobody here wrote, each a plugin by a cli.py of two lines.
//!
//! They need their packages: `tests/fixtures/programs/install DIRECTORY`, and that directory in SMCP_TEST_PROGRAMS.

use std::path::{Path, PathBuf};

use crate::asking::{fixture, payload, say_skipped, shown};

const PROGRAMS: [&str; 17] = [
    "black",
    "check-jsonschema",
    "codespell",
    "csvcut",
    "csvstat",
    "dotenv",
    "flask",
    "http",
    "isort",
    "mdformat",
    "pip-licenses",
    "pygmentize",
    "slugify",
    "sqlite-utils",
    "toml",
    "typer",
    "yamllint",
];

/// The interpreter that has the packages; `None`, and a word about it, where they are not installed.
pub fn interpreter() -> Option<PathBuf> {
    let Some(venv) = std::env::var_os("SMCP_TEST_PROGRAMS") else {
        say_skipped(
            "SMCP_TEST_PROGRAMS is not set, so the programs of the package index were not tried",
        );
        return None;
    };
    Some(Path::new(&venv).join("bin/python3"))
}

/// Where the two-line plugins are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/programs")
}

#[test]
fn programs_that_nobody_here_wrote_have_the_schemas_that_were_looked_at() {
    let Some(python) = interpreter() else { return };
    for program in PROGRAMS {
        let mut found = payload(&python, &directory().join(program).join("cli.py"));
        forget_this_machine(&mut found);
        insta::assert_snapshot!(program, shown(&found));
    }
}

#[test]
fn click_and_typer_parameters_of_every_kind_become_typed_ones() {
    let Some(python) = interpreter() else { return };
    for program in ["click_kitchen", "typer_kitchen"] {
        insta::assert_snapshot!(program, shown(&payload(&python, &fixture(program))));
    }
}

/// Help texts that list what this machine's libraries have.
fn forget_this_machine(payload: &mut serde_json::Value) {
    for command in payload["commands"].as_array_mut().into_iter().flatten() {
        for parameter in command["parameters"].as_array_mut().into_iter().flatten() {
            if parameter["name"] == "ciphers" || parameter["name"] == "ssl" {
                parameter["description"] = "(names what the installed OpenSSL has)".into();
                parameter
                    .as_object_mut()
                    .expect("parameters are objects")
                    .remove("enum");
            }
        }
    }
}
