use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::requirements::MAX_FILES;
use super::*;

/// A plugin with these files.
struct Plugin(tempfile::TempDir);

impl Plugin {
    fn new(files: &[(&str, &str)]) -> Self {
        let plugin = Self(tempfile::tempdir().expect("there is room"));
        plugin.write("cli.py", "print()");
        for (name, text) in files {
            plugin.write(name, text);
        }
        plugin
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), text).expect("there is room");
    }

    fn read(&self) -> Reading {
        self.read_with(&[])
    }

    fn read_with(&self, variables: &[(&str, &str)]) -> Reading {
        let variables = variables.iter();
        let reader = Reader {
            allow_writable: false,
            variables: variables
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
        };
        let directory = self.0.path().to_owned();
        let found = Found {
            name: "one".to_owned(),
            program: Program::Python(directory.join("cli.py")),
            directory,
        };
        reader.read(&found)
    }

    fn lines(&self) -> Vec<String> {
        let reading = self.read();
        assert_eq!(reading.warning, None);
        reading
            .declared
            .map(|declared| declared.lines)
            .unwrap_or_default()
    }

    fn digest(&self) -> [u8; 32] {
        self.read().declared.expect("it declares something").digest
    }
}

#[test]
fn the_declaration_that_is_nearest_to_the_program_counts() {
    let project = "[project]\nname = \"x\"\ndependencies = [\"of-project\"]\n";
    let plugin = Plugin::new(&[("pyproject.toml", project)]);
    assert_eq!(plugin.lines(), ["of-project"]);
    plugin.write("requirements.txt", "of-file>=1\n");
    assert_eq!(plugin.lines(), ["of-file>=1"]);
    plugin.write(
        "cli.py",
        "# /// script\n# dependencies = [\"of-script\"]\n# ///\n",
    );
    assert_eq!(plugin.lines(), ["of-script"]);
}

#[test]
fn a_file_is_read_as_pip_reads_it() {
    let text = "\u{feff}# all\n--index-url https://index.example/simple\n\none == 1.0  # the one\n\
                two[extra]>=2 ; python_version > \"3\" \\\n    --hash=sha256:aa\n-r more.txt\n-c limits.txt\n-e .\n\
                three @ https://index.example/three.whl\n";
    let plugin = Plugin::new(&[
        ("requirements.txt", text),
        ("more.txt", "four\n-r requirements.txt\n"),
        ("limits.txt", "five<2\n"),
    ]);
    let lines = [
        "one == 1.0",
        "two[extra]>=2 ; python_version > \"3\"",
        "four",
        ".",
        "three @ https://index.example/three.whl",
    ];
    assert_eq!(plugin.lines(), lines);
    let mut wide = vec![0xff, 0xfe];
    wide.extend("one\ntwo\n".encode_utf16().flat_map(u16::to_le_bytes));
    plugin.write("requirements.txt", wide);
    assert_eq!(plugin.lines(), ["one", "two"]);
}

#[test]
fn whatever_is_taken_in_makes_another_declaration() {
    let plugin = Plugin::new(&[
        ("requirements.txt", "-r more.txt\n-c limits.txt\n-e .\n"),
        ("more.txt", "one\n"),
    ]);
    let mut digests = vec![plugin.digest()];
    for (name, text) in [
        ("more.txt", "one>1\n"),
        ("limits.txt", "one<3\n"),
        ("limits.txt", "one<4\n"),
        ("setup.py", "setup()\n"),
        (
            "requirements.txt",
            "-r more.txt\n-c limits.txt\n-e .\n# more\n",
        ),
    ] {
        plugin.write(name, text);
        digests.push(plugin.digest());
    }
    let all = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), all);
}

#[test]
fn what_asks_for_nothing_declares_nothing() {
    for (name, text) in [
        ("requirements.txt", ""),
        ("requirements.txt", "# nothing\n\n--no-index\n"),
        ("pyproject.toml", "[tool.black]\nline-length = 100\n"),
        (
            "pyproject.toml",
            "[project]\nname = \"x\"\ndependencies = []\n",
        ),
        ("cli.py", "# /// script\n# requires-python = \"\"\n# ///\n"),
    ] {
        assert_eq!(
            Plugin::new(&[(name, text)]).read(),
            Reading::default(),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_a_warning_and_no_declaration() {
    let large = "a\n".repeat((MAX_FILE / 2 + 1) as usize);
    let deep = format!("-r {}", "x");
    for (name, text, told) in [
        ("pyproject.toml", "[project\n", "no TOML"),
        (
            "pyproject.toml",
            "[project]\ndependencies = \"a\"\n",
            "not a list",
        ),
        ("requirements.txt", large.as_str(), "bytes"),
        (
            "cli.py",
            "# /// script\n# dependencies = [\n# ///\n",
            "no TOML",
        ),
    ] {
        let reading = Plugin::new(&[(name, text)]).read();
        let warning = reading.warning.unwrap_or_default();
        assert!(warning.contains(told), "{warning}");
        assert_eq!(reading.declared, None);
    }
    assert_eq!(Plugin::new(&[("requirements.txt", &deep)]).lines(), [""; 0]);
    let plugin = Plugin::new(&[("requirements.txt", "one\n")]);
    let path = plugin.0.path().join("requirements.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let warning = plugin.read().warning.expect("anybody may write to it");
    assert!(warning.contains("anybody may write"), "{warning}");
    fs::remove_file(&path).expect("it is ours");
    symlink("/nowhere/at/all", &path).expect("there is room");
    assert_eq!(plugin.read(), Reading::default());
}

#[test]
fn a_chain_of_files_has_an_end() {
    let plugin = Plugin::new(&[("requirements.txt", "-r 0.txt\n")]);
    for number in 0..MAX_FILES {
        plugin.write(
            &format!("{number}.txt"),
            format!("-r {}.txt\none\n", number + 1),
        );
    }
    let warning = plugin.read().warning.expect("they are too many");
    assert!(warning.contains("32 files"), "{warning}");
}

#[test]
fn a_file_that_limits_may_ask_as_well_and_comments_begin_behind_any_space() {
    let plugin = Plugin::new(&[
        ("requirements.txt", "-c all.txt\n-r all.txt\n"),
        ("all.txt", "one==1.0\t# as ever # and ever\n"),
    ]);
    assert_eq!(plugin.lines(), ["one==1.0"]);
}

#[test]
fn what_lies_beside_the_program_is_another_thing_beside_another_one() {
    for (text, is_relative) in [
        ("one-1.0-py3-none-any.whl\n", true),
        ("-e .\n", true),
        ("one @ file:./one\n", true),
        ("--no-index --find-links wheels\none\n", true),
        ("--find-links=wheels\none\n", true),
        ("-fwheels\none\n", true),
        ("-i ../index\none\n", true),
        ("one==1.0\n", false),
        ("one @ https://index.example/one.whl\n", false),
        (
            "--index-url https://index.example/simple\n-f https://index.example\none\n",
            false,
        ),
        ("--no-index --trusted-host index.example\none\n", false),
    ] {
        let plugin = Plugin::new(&[("requirements.txt", text)]);
        let declared = plugin.read().declared.expect(text);
        assert_eq!(declared.is_relative, is_relative, "{text}");
    }
    let plugin = Plugin::new(&[
        ("requirements.txt", "one-1.0.tar.gz\n"),
        ("one-1.0.tar.gz", "old"),
    ]);
    let before = plugin.digest();
    plugin.write("one-1.0.tar.gz", "another");
    assert_ne!(plugin.digest(), before);
}

#[test]
fn variables_have_their_values_for_installers_and_their_names_for_people() {
    let plugin = Plugin::new(&[
        (
            "requirements.txt",
            "-r ${DIR}/more.txt\none==${ONE}  # ${NEVER}\n${UNSET} @ ${lower}\n",
        ),
        ("more.txt", "two\n"),
    ]);
    let read = |one: &str| {
        let reading = plugin.read_with(&[("DIR", "."), ("ONE", one), ("NEVER", one)]);
        reading.declared.expect("it declares something")
    };
    let declared = read("1.0");
    assert_eq!(declared.asked, ["two", "one==1.0", "${UNSET} @ ${lower}"]);
    assert_eq!(
        declared.lines,
        ["two", "one==${ONE}", "${UNSET} @ ${lower}"]
    );
    let another = read("2.0");
    assert_ne!(another.named.digest, declared.named.digest);
    assert_eq!(another.digest, declared.digest, "no value is in it");
    let script = "# /// script\n# dependencies = [\"one==${ONE}\"]\n# ///\n";
    plugin.write("cli.py", script);
    assert_eq!(read("3.0").asked, ["one==3.0"]);
    plugin.write("cli.py", "");
    plugin.write("requirements.txt", "one # ${ONE}\n");
    assert_eq!(read("1.0").named, Named::default());
    plugin.write(
        "requirements.txt",
        "--index-url https://index.example/${ONE}/\nx\n",
    );
    let secret = read("only-for-me");
    let hidden = secret
        .named
        .hidden_in("no https://index.example/only-for-me/x?y");
    assert_eq!(hidden, "no https://index.example/${ONE}/x?…");
    assert!(!format!("{:?}", secret.named).contains("only-for-me"));
}

#[test]
fn versions_of_python_are_what_the_script_says_or_else_the_project() {
    let plugin = Plugin::new(&[("pyproject.toml", "[project]\nrequires-python = \">=3.9\"\n")]);
    let python = |plugin: &Plugin| {
        let declared = plugin.read().declared.expect("it declares something");
        let python = declared.python.expect("it asks for one");
        (declared.lines, python.file, python.specifier)
    };
    assert_eq!(python(&plugin), (vec![], PROJECT, ">=3.9".to_owned()));
    let alone = plugin.digest();
    plugin.write("requirements.txt", "one\n");
    assert_eq!(python(&plugin).0, ["one"]);
    assert_ne!(plugin.digest(), alone);
    let block = "# /// script\n# requires-python = \">=3.8\"\n# ///\n";
    plugin.write("cli.py", block);
    let of_script = (vec!["one".to_owned()], PROGRAM, ">=3.8".to_owned());
    assert_eq!(python(&plugin), of_script);
    // A project that cannot be read takes nothing from what is nearer.
    plugin.write("pyproject.toml", "[project\n");
    assert_eq!(python(&plugin), of_script);
}
