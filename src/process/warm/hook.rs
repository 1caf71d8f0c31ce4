//! What makes an interpreter a warm one: files that it finds as its `sitecustomize`, and the way there.
//!
//! Knows nothing of what is asked of it later.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use tokio::task::spawn_blocking;

use super::fault::Fault;

/// What the interpreter finds as its `sitecustomize`, and what that imports.
const ZYGOTE: [(&str, &str); 6] = [
    ("sitecustomize.py", include_str!("zygote.py")),
    ("zygote_ending.py", include_str!("zygote_ending.py")),
    ("zygote_learning.py", include_str!("zygote_learning.py")),
    ("zygote_leftovers.py", include_str!("zygote_leftovers.py")),
    ("zygote_loading.py", include_str!("zygote_loading.py")),
    ("zygote_worker.py", include_str!("zygote_worker.py")),
];

/// Whether the interpreter is certain to look for its `sitecustomize`. A script may start Python in a way that does
/// not, and the plugin's program would be run with no arguments.
pub(super) async fn is_program(interpreter: Option<&OsString>) -> Result<(), Fault> {
    let path = interpreter.map(PathBuf::from).unwrap_or_default();
    let reading = spawn_blocking(move || {
        let mut beginning = [0; 4];
        File::open(path)?.read_exact(&mut beginning)?;
        Ok::<_, io::Error>(beginning)
    });
    let beginning = reading
        .await?
        .map_err(|fault| Fault::lasting(format!("its interpreter cannot be read: {fault}")))?;
    if beginning == *b"\x7fELF" {
        Ok(())
    } else {
        Err(Fault::lasting(
            "its interpreter is a script; set MCP_PYTHON to the interpreter itself",
        ))
    }
}

/// A private directory with the file that makes an interpreter a warm one. It is needed until that has started.
pub(super) fn write() -> io::Result<tempfile::TempDir> {
    let directory = tempfile::Builder::new().prefix("smcp-warm-").tempdir()?;
    for (name, text) in ZYGOTE {
        std::fs::write(directory.path().join(name), text)?;
    }
    Ok(directory)
}

/// The environment with the directory before all others in which modules are looked for.
pub(super) fn with_hook(
    mut environment: Vec<(OsString, OsString)>,
    mut hook: OsString,
) -> Vec<(OsString, OsString)> {
    if let Some((_, own)) = environment
        .iter()
        .find(|(name, value)| name == "PYTHONPATH" && !value.is_empty())
    {
        hook.push(":");
        hook.push(own);
    }
    environment.retain(|(name, _)| name != "PYTHONPATH");
    environment.push(("PYTHONPATH".into(), hook));
    environment
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn an_interpreter_finds_all_files_of_this_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/process/warm");
        let there = std::fs::read_dir(folder).expect("it is there");
        let there: BTreeSet<String> = there
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".py"))
            .map(|name| match name.as_str() {
                "zygote.py" => "sitecustomize.py".to_owned(),
                _ => name,
            })
            .collect();
        let written: BTreeSet<String> = ZYGOTE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(written, there);
    }

    #[test]
    fn a_search_path_of_the_environment_comes_after_the_hook() {
        let with = |own: &str| with_hook(vec![("PYTHONPATH".into(), own.into())], "/hook".into());
        assert_eq!(with("/own"), [("PYTHONPATH".into(), "/hook:/own".into())]);
        assert_eq!(with(""), [("PYTHONPATH".into(), "/hook".into())]);
    }
}
