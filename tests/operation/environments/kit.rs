//! A plugins directory, packages made by hand, and installers that reach nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::commands::output_within;
use crate::support::http::{PATIENCE, get};
use crate::support::plugins::{Folder, write_program};
use crate::support::server::{Server, Setup};
use crate::support::session::directly;

/// The package that plugins ask for. No index has it.
pub const LIBRARY: &str = "smcp-test-library";

/// A plugin that works only with it, and prints which version it has.
pub const PROGRAM: &str = "import json, sys\nimport smcp_test_library\n\
    if sys.argv[1:] == ['--describe']:\n    \
    print(json.dumps({'commands': [{'name': 'version', 'description': 'Prints a version'}]}))\n\
    else:\n    print(smcp_test_library.VERSION)\n";

/// A plugin that needs nothing.
pub const PLAIN: &str = "import json, sys\n\
    print(json.dumps({'commands': [{'name': 'run', 'description': 'Runs'}]}) if '--describe' in sys.argv else 'ran')\n";

/// A plugin that works only without the library that it declares.
pub const UNFIT: &str = "import json, sys\n\
    try:\n    import smcp_test_library\nexcept ImportError:\n    pass\nelse:\n    raise SystemExit('made for another version')\n\
    print(json.dumps({'commands': [{'name': 'run', 'description': 'Runs'}]}) if '--describe' in sys.argv else 'ran')\n";

/// A plugin that can do more without it.
pub const FEWER: &str = "import json, sys\nnames = ['run']\n\
    try:\n    import smcp_test_library\nexcept ImportError:\n    names.append('more')\n\
    commands = [{'name': name, 'description': 'Runs'} for name in names]\n\
    print(json.dumps({'commands': commands}) if '--describe' in sys.argv else 'ran')\n";

/// A plugin that imports the library only when it is called.
pub const LAZY: &str = "import json, sys\n\
    if sys.argv[1:] == ['--describe']:\n    \
    print(json.dumps({'commands': [{'name': 'version', 'description': 'Prints a version'}]}))\n\
    else:\n    import smcp_test_library\n    print(smcp_test_library.VERSION)\n";

/// A plugin that imports, when it is called, the library and a module that it does not declare.
pub const UNDECLARED: &str = "import json, sys\n\
    if sys.argv[1:] == ['--describe']:\n    \
    print(json.dumps({'commands': [{'name': 'version', 'description': 'Prints a version'}]}))\n\
    else:\n    import smcp_test_other, smcp_test_library\n    print(smcp_test_library.VERSION)\n";

/// Makes a wheel, which is an archive: its directory, the package's name and version, what it depends on, and its
/// programs are given as arguments.
const WHEEL: &str = r#"
import sys, zipfile
directory, name, version, code, scripts = sys.argv[1:]
module = name.replace('-', '_')
about = f'{module}-{version}.dist-info'
files = {
    f'{module}/__init__.py': code,
    f'{about}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
    f'{about}/WHEEL': 'Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
}
if scripts:
    files[f'{about}/entry_points.txt'] = '[console_scripts]\n' + scripts
files[f'{about}/RECORD'] = ''.join(f'{file},,\n' for file in [*files, f'{about}/RECORD'])
with zipfile.ZipFile(f'{directory}/{module}-{version}-py3-none-any.whl', 'w') as wheel:
    for file, text in files.items():
        wheel.writestr(file, text)
"#;

/// A plugins directory, and beside it packages, programs and caches.
pub struct Place {
    pub folder: Folder,
    beside: tempfile::TempDir,
}

impl Place {
    /// With two versions of the library to install.
    pub fn new() -> Self {
        let beside = tempfile::tempdir().expect("there is room");
        for name in ["packages", "nothing", "programs", "home"] {
            std::fs::create_dir(beside.path().join(name)).expect("there is room");
        }
        let place = Self {
            folder: Folder::new(),
            beside,
        };
        for version in ["1.0", "2.0"] {
            place.wheel(LIBRARY, version, &format!("VERSION = '{version}'\n"), "");
        }
        place
    }

    /// Makes a package that can be installed.
    pub fn wheel(&self, name: &str, version: &str, code: &str, scripts: &str) {
        let mut command = Command::new("python3");
        command.args(["-c", WHEEL]).arg(self.path("packages"));
        command.args([name, version, code, scripts]);
        let made = output_within(PATIENCE, &mut command);
        assert!(made.status.success(), "{made:?}");
    }

    /// Something beside the plugins directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    /// A plugin that needs the library, with this `requirements.txt`.
    pub fn plugin(&self, name: &str, requirements: &str) -> PathBuf {
        let directory = self.folder.add(name, PROGRAM);
        self.declare(name, "requirements.txt", requirements);
        directory
    }

    /// Writes a file into a plugin's directory.
    pub fn declare(&self, plugin: &str, file: &str, text: &str) {
        let path = self.folder.path().join(plugin).join(file);
        std::fs::write(path, text).expect("there is room");
    }

    /// A program that is found before those of the system, with [`Place::path_with_programs`].
    pub fn program(&self, name: &str, text: &str) {
        write_program(&self.path("programs").join(name), text);
    }

    /// An installer that makes the first of these files when it begins, and waits for the second.
    pub fn held_installer(&self) -> (PathBuf, PathBuf) {
        let (begun, release) = (self.path("begun"), self.path("release"));
        let uv = uv(&self.path("book"));
        let (first, rest) = uv.split_once('\n').expect("it has lines");
        let wait = format!(
            "touch {}\nwhile [ ! -e {} ]; do sleep 0.05; done",
            begun.display(),
            release.display()
        );
        self.program("uv", &format!("{first}\n{wait}\n{rest}"));
        (begun, release)
    }

    /// Where programs are looked for, those of this place first.
    pub fn path_with_programs(&self) -> String {
        let path = std::env::var("PATH").expect("it is text");
        format!("{}:{path}", self.path("programs").display())
    }

    /// A directory in which this version of the library is installed already.
    pub fn installed(&self, version: &str) -> PathBuf {
        let target = self.path("installed");
        let wheel = self
            .path("packages")
            .join(format!("smcp_test_library-{version}-py3-none-any.whl"));
        let mut command = Command::new("python3");
        command
            .args(["-m", "zipfile", "-e"])
            .arg(wheel)
            .arg(&target);
        assert!(output_within(PATIENCE, &mut command).status.success());
        target
    }

    /// A server that installs the packages of this place and no others.
    pub fn setup(&self) -> Setup {
        self.setup_with(&self.path("packages"))
    }

    /// A server for which there are no packages.
    pub fn setup_without_packages(&self) -> Setup {
        self.setup_with(&self.path("nothing"))
    }

    fn setup_with(&self, packages: &Path) -> Setup {
        let setup = self.bare();
        ["PIP", "UV"].iter().fold(setup, |setup, installer| {
            setup
                .variable(&format!("{installer}_NO_INDEX"), "1")
                .variable(&format!("{installer}_FIND_LINKS"), packages)
        })
    }

    /// A server whose index cannot be reached.
    pub fn setup_without_index(&self) -> Setup {
        let nowhere = "http://127.0.0.1:9/simple";
        let setup = self
            .bare()
            .variable("PIP_INDEX_URL", nowhere)
            .variable("PIP_RETRIES", "1");
        setup
            .variable("UV_INDEX_URL", nowhere)
            .variable("UV_HTTP_RETRIES", "0")
    }

    fn bare(&self) -> Setup {
        Setup::new()
            .plugins(self.folder.path())
            .variable("MCP_CACHE_DIR", self.cache())
            .variable("PIP_CACHE_DIR", self.path("home"))
            .variable("PIP_CONFIG_FILE", "/dev/null")
            .variable("UV_NO_CONFIG", "1")
    }

    /// An interpreter that has an empty module of this name, and what the system's has.
    pub fn interpreter_with(&self, module: &str) -> PathBuf {
        self.interpreter_at("with-others", module, "")
    }

    /// The same at another place, with this text for its module.
    pub fn interpreter_at(&self, name: &str, module: &str, text: &str) -> PathBuf {
        let made = "python3 -m venv --system-site-packages --without-pip \"$0\" && cd \"$0\"/lib/python3*/site-packages && \
                    printf %s \"$2\" >\"$1.py\"";
        let directory = self.path(name);
        let mut command = Command::new("sh");
        command
            .args(["-ec", made])
            .arg(&directory)
            .args([module, text]);
        let made = output_within(PATIENCE, &mut command);
        assert!(made.status.success(), "{made:?}");
        directory.join("bin/python")
    }

    /// Where environments are.
    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.cache().join("environments"));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// How many environments are taken for whole.
    pub fn environments(&self) -> usize {
        self.entries()
            .iter()
            .filter(|name| name.ends_with(".json"))
            .count()
    }

    /// How many directories of environments there are, whole or not.
    pub fn directories(&self) -> usize {
        self.entries()
            .iter()
            .filter(|name| name.contains('-'))
            .count()
    }
}

/// A program that takes uv's words, writes them down, and does the same with venv and pip.
pub fn uv(book: &Path) -> String {
    format!(
        "#!/bin/sh\necho \"$*\" >>{}\nfor last; do :; done\n\
         while [ \"$1\" != --python ]; do word=$1; shift; done\n\
         case $word in\n\
         --no-project) exec \"$2\" -m venv \"$3\" ;;\n\
         *) exec \"$2\" -m pip install -r \"$last\" ;;\nesac\n",
        book.display()
    )
}

/// Whether a tool is listed.
pub fn is_served(server: &Server, tool: &str) -> bool {
    let answer = directly(server.address(), "tools/list", serde_json::json!({}));
    let tools = answer["result"]["tools"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    tools.iter().any(|listed| listed["name"] == tool)
}

/// What `/health` says of a plugin that is not served.
pub fn unserved(server: &Server, plugin: &str) -> Option<Value> {
    of_health(server, "not_served", plugin)
}

/// What it says of one that is served as it was before.
pub fn outdated(server: &Server, plugin: &str) -> Option<Value> {
    of_health(server, "outdated", plugin)
}

fn of_health(server: &Server, list: &str, plugin: &str) -> Option<Value> {
    let answer =
        crate::support::http::exchange(server.address(), &get(server.address(), "/health", ""));
    let health = answer.json();
    let listed = health[list].as_array()?;
    listed
        .iter()
        .find(|fault| fault["plugin"] == plugin)
        .cloned()
}
