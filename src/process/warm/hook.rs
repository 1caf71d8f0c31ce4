//! What makes an interpreter a warm one: files that it finds as its `sitecustomize`, and the way there.
//!
//! Knows nothing of what is asked of it later.

use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::task::spawn_blocking;

use super::fault::Fault;

/// What the interpreter finds as its `sitecustomize`, and what that imports.
const ZYGOTE: [(&str, &str); 14] = [
    ("sitecustomize.py", include_str!("zygote.py")),
    ("zygote_asking.py", include_str!("zygote_asking.py")),
    ("zygote_ending.py", include_str!("zygote_ending.py")),
    ("zygote_exercise.py", include_str!("zygote_exercise.py")),
    ("zygote_learning.py", include_str!("zygote_learning.py")),
    ("zygote_leftovers.py", include_str!("zygote_leftovers.py")),
    ("zygote_loading.py", include_str!("zygote_loading.py")),
    ("zygote_moment.py", include_str!("zygote_moment.py")),
    ("zygote_order.py", include_str!("zygote_order.py")),
    ("zygote_paths.py", include_str!("zygote_paths.py")),
    ("zygote_places.py", include_str!("zygote_places.py")),
    ("zygote_program.py", include_str!("zygote_program.py")),
    ("zygote_values.py", include_str!("zygote_values.py")),
    ("zygote_worker.py", include_str!("zygote_worker.py")),
];

/// What the names of all such directories begin with.
const PREFIX: &str = "smcp-warm-";

/// After this time nobody needs one any more: an interpreter reads it at its start, which takes seconds.
const ABANDONED_AFTER: Duration = Duration::from_secs(10 * 60);

/// How many names of the directory for temporary files are looked at for what was left.
const MAX_NAMES: usize = 100_000;

/// Whether the interpreter is certain to look for its `sitecustomize`. A script may start Python in a way that does
/// not, and the plugin's program would be run with no arguments.
pub(super) async fn is_program(interpreter: &OsStr) -> Result<(), Fault> {
    let path = PathBuf::from(interpreter);
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

/// A private directory with the files. It is needed until the interpreter has started. The first one of a process also
/// removes what killed servers have left.
pub(super) fn directory() -> io::Result<tempfile::TempDir> {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(|| sweep(&std::env::temp_dir()));
    let directory = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
    for (name, text) in ZYGOTE {
        std::fs::write(directory.path().join(name), text)?;
    }
    Ok(directory)
}

/// What stands for the script where forks run any script: each has its code in the descriptor that this leads to. Its
/// ending has the interpreter read compiled code.
pub(super) fn link_to_any_script(hook: &tempfile::TempDir) -> io::Result<PathBuf> {
    let link = hook.path().join("script.pyc");
    // The number that zygote_asking.py gives the descriptor.
    std::os::unix::fs::symlink("/proc/self/fd/63", &link)?;
    Ok(link)
}

fn sweep(parent: &Path) {
    let names = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in names.take(MAX_NAMES).filter(is_abandoned) {
        // Whatever stands in the way of that will do so again.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

fn is_abandoned(entry: &DirEntry) -> bool {
    let is_one = entry
        .file_name()
        .to_str()
        .is_some_and(|name| name.starts_with(PREFIX));
    // Not that of what a link leads to.
    is_one
        && entry.metadata().is_ok_and(|facts| {
            let age = facts.modified().ok().and_then(|then| then.elapsed().ok());
            let is_own = facts.uid() == geteuid().as_raw();
            facts.is_dir() && is_own && age.is_some_and(|age| age > ABANDONED_AFTER)
        })
}

/// The environment with the directory before all others in which modules are looked for.
pub(super) fn found_first(
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
    use std::time::SystemTime;

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
    fn what_a_killed_server_has_left_is_removed_and_what_another_one_uses_is_not() {
        let parent = tempfile::tempdir().expect("there is room");
        let make = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).expect("there is room");
            std::fs::write(path.join("sitecustomize.py"), "").expect("there is room");
            path
        };
        let (old, new) = (make("smcp-warm-old"), make("smcp-warm-new"));
        let foreign = make("another-old");
        let long_ago = SystemTime::now() - 2 * ABANDONED_AFTER;
        for path in [&old, &foreign] {
            let directory = File::open(path).expect("it is there");
            directory.set_modified(long_ago).expect("it is ours");
        }
        sweep(parent.path());
        assert!(!old.exists() && new.exists() && foreign.exists());
    }

    #[test]
    fn a_search_path_of_the_environment_comes_after_the_hook() {
        let with = |own: &str| found_first(vec![("PYTHONPATH".into(), own.into())], "/hook".into());
        assert_eq!(with("/own"), [("PYTHONPATH".into(), "/hook:/own".into())]);
        assert_eq!(with(""), [("PYTHONPATH".into(), "/hook".into())]);
    }
}
