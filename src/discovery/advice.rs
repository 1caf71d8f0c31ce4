//! What to do about a program that did not work, as far as its own words tell. Runs nothing.

use std::path::Path;

use super::environments::key::is_environment;
use super::regular_file::read_regular;
use crate::text::shown;

/// How much of a program is looked at to see that there is nothing in it.
const MAX_EMPTY: u64 = 4096;

/// The end of the reason when a program ended by itself and nothing was learned of its commands.
const NO_PARSER: &str = "without asking an argparse, click or typer parser";

/// What follows that where the program said something at its end.
const SAID: &str = "without asking an argparse, click or typer parser, and said: ";

/// Packages whose name is not that of the module they bring.
const PACKAGES: [(&str, &str); 10] = [
    ("PIL", "pillow"),
    ("bs4", "beautifulsoup4"),
    ("cv2", "opencv-python"),
    ("dateutil", "python-dateutil"),
    ("dotenv", "python-dotenv"),
    ("git", "GitPython"),
    ("jwt", "PyJWT"),
    ("serial", "pyserial"),
    ("sklearn", "scikit-learn"),
    ("yaml", "PyYAML"),
];

/// Modules that a later version of their package has no more, with what pip installs to have them.
const OF_EARLIER_VERSIONS: [(&str, &str); 1] = [("mcp.server.fastmcp", "mcp<2")];

/// `reason`, why a program is not served, with what to do about it; `None` where it says that itself.
pub fn of(reason: &str, program: &Path, interpreter: Option<&Path>) -> Option<String> {
    const GUIDE: &str = "docs/plugin-development-guide.md shows how";
    let beginning = read_regular(program, MAX_EMPTY).unwrap_or_else(|_| b"unreadable".to_vec());
    if beginning.trim_ascii().is_empty() {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        return Some(format!(
            "its {name} is empty; write a program that answers --describe or uses argparse: {GUIDE}"
        ));
    }
    if let Some(hint) = interpreter.and_then(|interpreter| missing_module(reason, interpreter)) {
        return Some(format!("{reason}; {hint}"));
    }
    if quotes_the_program(reason) {
        return Some(format!(
            "{reason}; give it what it lacks, such as a variable in the server's environment, or let it answer --describe \
             or read its arguments by argparse before it ends: {GUIDE}"
        ));
    }
    reason.ends_with(NO_PARSER).then(|| {
        format!("{reason}; let it answer --describe, or read its arguments by argparse: {GUIDE}")
    })
}

/// Whether a reason quotes what the program itself printed when it ended.
pub fn quotes_the_program(reason: &str) -> bool {
    reason.contains(SAID)
}

/// How to give `interpreter` the module that a Python program did not find, if that is what `words` are about.
pub fn missing_module(words: &str, interpreter: &Path) -> Option<String> {
    let (_, rest) = words.rsplit_once("ModuleNotFoundError: No module named '")?;
    let (module, _) = rest.split_once('\'')?;
    let top = module.split('.').next().unwrap_or(module);
    let known = PACKAGES.iter().find(|(name, _)| *name == top);
    let package = known.map_or(top, |(_, package)| package);
    let is_own = is_environment(interpreter);
    let (interpreter, package) = (interpreter.display(), shown(package, 100));
    let missing = format!(
        "{interpreter}, which runs this plugin, has no module '{}'",
        shown(module, 100)
    );
    // Python names the first part that it does not find, so a part of a package is missing from one that is there.
    let parent = module
        .rsplit_once('.')
        .map(|(parent, _)| shown(parent, 100));
    let earlier = OF_EARLIER_VERSIONS.iter().find(|(name, _)| *name == module);
    let install = match (parent, earlier) {
        (_, Some((_, version))) => format!(
            "the version of {package} that it has is too new; install an earlier one: {interpreter} -m pip install '{version}'"
        ),
        (Some(parent), None) => format!(
            "it has '{parent}', perhaps in another version than the plugin was written for; install that one, or the \
             package that brings the module"
        ),
        (None, None) if is_own => {
            return Some(format!(
                "its environment has no module '{}': what it imports is not among what it declares; declare {package}, as \
                 docs/plugin-development-guide.md shows",
                shown(module, 100)
            ));
        }
        (None, None) => format!("install it: {interpreter} -m pip install {package}"),
    };
    Some(format!(
        "{missing}; {install}; or set MCP_PYTHON to an interpreter that has it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_is_told_with_the_interpreter_and_the_line_that_installs_it() {
        let hint = |words: &str| missing_module(words, Path::new("/v/bin/python3"));
        for (module, package) in [("croniter", "croniter"), ("yaml", "PyYAML")] {
            let words =
                format!("x\nModuleNotFoundError: No module named '{module}' (cli.py, line 1)");
            let told = hint(&words).unwrap();
            let line = format!("/v/bin/python3 -m pip install {package};");
            assert!(
                told.contains(&line) && told.contains("MCP_PYTHON"),
                "{told}"
            );
            assert!(told.contains(&format!("'{module}'")), "{told}");
        }
        for (module, told) in [
            ("mcp.server.fastmcp", "-m pip install 'mcp<2';"),
            ("google.cloud.storage", "it has 'google.cloud', perhaps"),
        ] {
            let words = format!("ModuleNotFoundError: No module named '{module}'. This is 2.x");
            let hint = hint(&words).unwrap();
            assert!(
                hint.contains(told) && hint.contains(&format!("'{module}'")),
                "{hint}"
            );
            assert!(!hint.contains("install it:"), "{hint}");
        }
        let own = "/c/environments/0123456789abcdef0123456789abcdef-01234567/bin/python";
        let words = "ModuleNotFoundError: No module named 'yaml'";
        let told = missing_module(words, Path::new(own)).unwrap();
        assert!(
            told.contains("declare PyYAML") && !told.contains("pip install"),
            "{told}"
        );
        assert_eq!(hint("ImportError: cannot import name 'x' from 'y'"), None);
        assert_eq!(hint("ModuleNotFoundError: No module named "), None);
    }
}
