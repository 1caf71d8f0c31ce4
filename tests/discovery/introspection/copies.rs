//! What programs write before their parser is asked: they see it, nobody else does, and nothing of it stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;
use smcp::discovery::introspect::REFUSED;

use super::asking::{ask, fixture, python3};
use super::serving::served;
use crate::catalog::{Plugins, live};
use crate::commands::output_within;

/// Every file and directory below `directory`, with what is in it and when it was changed.
fn everything(directory: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let known = std::fs::symlink_metadata(&path).expect("it is there");
        let content = if known.is_dir() {
            found.extend(everything(&path));
            Vec::new()
        } else {
            std::fs::read(&path).expect("it can be read")
        };
        let changed = known.modified().expect("the system knows when");
        found.insert(path.display().to_string(), (content, changed));
    }
    found
}

/// A plugins directory with these fixtures and the files that they find there.
fn plugins_of(names: &[&str]) -> Plugins {
    let plugins = Plugins::new();
    for name in names {
        let source = std::fs::read_to_string(fixture(name)).expect("a fixture");
        plugins.python(name, &source);
    }
    plugins
}

#[test]
fn programs_that_write_before_their_parser_is_asked_are_served_whole_and_leave_no_trace() {
    live(async {
        let plugins = plugins_of(&[
            "logs_at_import",
            "opens_sqlite",
            "makes_directories",
            "connects_and_catches",
            "opens_a_file",
        ]);
        plugins.write("logs_at_import/run.log", "an older run\n", 0o644);
        plugins.write("makes_directories/kept.txt", "kept", 0o644);
        plugins.write("makes_directories/old.txt", "old", 0o644);
        let before = everything(plugins.path());
        let running = served(plugins.path(), python3()).await;
        let snapshot = running.snapshot();
        assert_eq!(snapshot.skipped, [], "all are served");
        for plugin in &snapshot.plugins {
            assert_eq!(plugin.source, "introspection", "{}", plugin.name);
            assert_eq!(plugin.warnings, [""; 0], "{}", plugin.name);
        }
        for (tool, argument, expected) in [
            ("logs_at_import", "size", json!({"type": "integer"})),
            (
                "opens_sqlite",
                "tag",
                json!({"type": "string", "enum": ["one more"]}),
            ),
            (
                "makes_directories",
                "unit",
                json!({"type": "string", "enum": ["km", "mi"]}),
            ),
            (
                "connects_and_catches",
                "count",
                json!({"type": "integer", "default": 0}),
            ),
        ] {
            let tool = snapshot.resolve(&format!("{tool}__{tool}"));
            let tool = tool.expect("it is served");
            assert_eq!(tool.input_schema["properties"][argument], expected);
        }
        assert_eq!(everything(plugins.path()), before, "nothing has changed");
    });
}

#[test]
fn what_is_in_a_database_is_read_from_a_copy_of_it() {
    let directory = tempfile::tempdir().expect("there is room");
    let cli = directory.path().join("cli.py");
    std::fs::copy(fixture("opens_sqlite"), &cli).expect("the directory is ours");
    let make = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
        c.execute('CREATE TABLE notes (text)'); c.execute(\"INSERT INTO notes VALUES ('an old one')\"); c.commit()";
    let made = Command::new(python3())
        .args(["-c", make])
        .arg(directory.path().join("notes.db"))
        .status();
    assert!(made.expect("there is a Python").success());
    let before = everything(directory.path());
    let payload = ask(&python3(), &cli).payload.expect("it is read");
    assert_eq!(
        payload["commands"][0]["parameters"][0]["enum"],
        json!(["an old one", "one more"])
    );
    assert_eq!(everything(directory.path()), before);
}

#[test]
fn what_goes_around_the_copy_is_refused() {
    let setup = "import os, posix, sqlite3, _io\nhere = os.path.dirname(os.path.abspath(__file__))\nmade = here + '/made'\n\
        open(here + '/first', 'w').close()\n";
    for deed in [
        "posix.open(made, os.O_CREAT | os.O_WRONLY)",
        "posix.mkdir(made)",
        "posix.chmod(__file__, 0o600)",
        "_io.FileIO(made, 'w')",
        "os.open('made', os.O_CREAT | os.O_WRONLY, dir_fd=os.open(here, os.O_RDONLY))",
        "os.mkdir('made', dir_fd=os.open(here, os.O_RDONLY))",
        "os.fchmod(os.open(__file__, os.O_RDONLY), 0o600)",
        "os.truncate(os.open(__file__, os.O_RDONLY), 0)",
        "os.rename(here, here + '-elsewhere')",
        "os.mkfifo(made)",
        "sqlite3.connect(':memory:').execute('ATTACH DATABASE ? AS other', (made,))",
        "sqlite3.Connection.__base__(made)",
    ] {
        let directory = tempfile::tempdir().expect("there is room");
        let cli = directory.path().join("cli.py");
        let caught = format!(
            "try: {deed}\nexcept (OSError, sqlite3.Error): refused = True\nassert refused\n"
        );
        let parser = "import argparse\nargparse.ArgumentParser().parse_args()\n";
        std::fs::write(&cli, format!("{setup}{caught}{parser}")).expect("the directory is ours");
        let before = everything(directory.path());
        let answer = ask(&python3(), &cli);
        assert_eq!(answer.status, 0, "{deed}: {}", answer.reason);
        assert_eq!(everything(directory.path()), before, "{deed}");
    }
}

#[test]
fn every_way_of_the_standard_library_to_look_at_what_was_just_written_sees_the_copy() {
    let setup = "import io, os, shutil, sqlite3\nhere = os.path.dirname(os.path.abspath(__file__))\nmade = here + '/made'\n";
    let write = "open(made, 'w').write('{}')\n";
    for (first, deed) in [
        (
            write,
            "shutil.copy2(made, made + '.bak'); assert open(made + '.bak').read() == '{}'",
        ),
        (
            "os.makedirs(made + '/inner'); open(made + '/inner/file', 'w').write('{}')\n",
            "shutil.copytree(made, made + '.bak'); assert open(made + '.bak/inner/file').read() == '{}'",
        ),
        (
            write,
            "shutil.move(made, made + '.bak'); assert open(made + '.bak').read() == '{}'",
        ),
        (
            write,
            "assert os.listxattr(made) == os.listxattr(made, follow_symlinks=False)",
        ),
        (write, "os.listxattr(); os.listxattr(None)"),
        (
            "",
            "io.FileIO(made, 'w').write(b'{}'); assert open(made).read() == '{}'",
        ),
        (
            write,
            "f = io.FileIO(made); assert (f.read(), f.name) == (b'{}', made); \
             assert isinstance(f, io.FileIO) and isinstance(open(made, 'rb').raw, io.FileIO)",
        ),
        (
            "class Log(io.FileIO): pass\n",
            "Log(made, mode='a').write(b'{}'); assert open(made).read() == '{}'",
        ),
        (
            "",
            "sqlite3.Connection(made).execute('CREATE TABLE t (x)'); \
             c = sqlite3.connect(made); assert isinstance(c, sqlite3.Connection); \
             assert c.execute('SELECT count(*) FROM t').fetchone() == (0,)",
        ),
        (
            "class Own(sqlite3.Connection): pass\n",
            "c = sqlite3.connect(made, factory=Own); assert type(c) is Own; c.execute('CREATE TABLE t (x)')",
        ),
    ] {
        let directory = tempfile::tempdir().expect("there is room");
        let cli = directory.path().join("cli.py");
        let parser = "import argparse\nargparse.ArgumentParser().parse_args()\n";
        std::fs::write(&cli, format!("{setup}{first}{deed}\n{parser}")).expect("it is ours");
        let before = everything(directory.path());
        let answer = ask(&python3(), &cli);
        assert_eq!(answer.status, 0, "{deed}: {}", answer.reason);
        assert_eq!(everything(directory.path()), before, "{deed}");
    }
}

#[test]
fn a_database_that_is_too_large_to_be_copied_can_be_read() {
    let directory = tempfile::tempdir().expect("there is room");
    let cli = directory.path().join("cli.py");
    let fill = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
        c.execute('CREATE TABLE notes (text)'); c.execute('INSERT INTO notes VALUES (zeroblob(20000000))'); c.commit()";
    let filled = Command::new(python3())
        .args(["-c", fill])
        .arg(directory.path().join("notes.db"))
        .status();
    assert!(filled.expect("there is a Python").success());
    let program = "import argparse, os, sqlite3\n\
        c = sqlite3.connect(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'notes.db'))\n\
        c.execute('CREATE TABLE IF NOT EXISTS notes (text)')\n\
        count = c.execute('SELECT count(*) FROM notes').fetchone()[0]\n\
        try: c.execute('DELETE FROM notes'); count = -1\n\
        except sqlite3.OperationalError: pass\n\
        p = argparse.ArgumentParser()\np.add_argument('--count', type=int, default=count)\np.parse_args()\n";
    std::fs::write(&cli, program).expect("the directory is ours");
    let before = everything(directory.path());
    let payload = ask(&python3(), &cli).payload.expect("it is read");
    assert_eq!(payload["commands"][0]["parameters"][0]["default"], 1);
    assert_eq!(everything(directory.path()), before);
}

#[test]
fn a_program_that_can_do_nothing_without_what_is_refused_is_asked_for_its_help_openly() {
    live(async {
        let plugins = plugins_of(&["asks_for_a_version", "uses_the_network"]);
        let running = served(plugins.path(), python3()).await;
        let snapshot = running.snapshot();
        let plugin = &snapshot.plugins[0];
        assert_eq!(
            (plugin.name.as_str(), plugin.source),
            ("asks_for_a_version", "help")
        );
        assert!(
            plugin.warnings[0].contains(
                "starts a process (subprocess.Popen uname) before it asks its parser (cli.py, line 4)"
            ),
            "{:?}",
            plugin.warnings
        );
        let tool = snapshot.resolve("asks_for_a_version__asks_for_a_version");
        let tool = tool.expect("its help text was read");
        assert_eq!(
            tool.input_schema["properties"]["verbose"]["type"],
            "boolean"
        );
        // Nobody listens there, so that the open question fails as well; the reason is the true one.
        let reason = running.skipped("uses_the_network");
        let expected = "uses the network (socket.connect 127.0.0.1 9) before it asks its parser (cli.py, line 2)";
        assert!(reason.contains(expected), "{reason}");
    });
}

#[test]
fn a_program_is_not_asked_openly_where_nothing_was_refused_to_it() {
    live(async {
        let plugins = Plugins::new();
        let program =
            "import os\nopen(os.environ['SMCP_PLUGIN_DIR'] + '/made', 'w').write('worked')\n";
        plugins.python("worker", program);
        let running = served(plugins.path(), python3()).await;
        assert_ne!(running.skipped("worker"), "");
        assert!(!plugins.path().join("worker/made").exists(), "it worked");
    });
}

#[test]
fn the_private_copy_has_bounds_and_what_is_beyond_them_is_refused() {
    for (name, program) in [
        (
            "files",
            "import os\nfor n in range(5000): open('%s.%d' % (__file__, n), 'w').write('x')\n",
        ),
        (
            "bytes",
            "with open(__file__ + '.made', 'wb') as file:\n    for n in range(64): file.write(bytes(1 << 20))\n",
        ),
    ] {
        let directory = tempfile::tempdir().expect("there is room");
        let cli = directory.path().join("cli.py");
        let parser = "import argparse\nargparse.ArgumentParser().parse_args()\n";
        std::fs::write(&cli, format!("{program}{parser}")).expect("the directory is ours");
        let before = everything(directory.path());
        let answer = ask(&python3(), &cli);
        assert_eq!(
            (answer.status, answer.payload),
            (REFUSED, None),
            "{name}: {}",
            answer.reason
        );
        assert_eq!(everything(directory.path()), before, "{name}");
    }
}

#[test]
fn what_the_files_of_a_copy_grow_to_has_a_bound() {
    live(async {
        let plugins = Plugins::new();
        // It goes on until it is ended; its files are begun before there is anything in them. Asked openly, it can
        // start a process, and only shows its help.
        let source = "import os, subprocess, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n\
            try:\n    subprocess.run(['true'])\n    print('usage: grows [--unit UNIT]\\n\\noptions:\\n  --unit UNIT  a unit')\n    sys.exit()\n\
            except FileNotFoundError: pass\n\
            files = [open(here + '/made%d' % n, 'wb') for n in range(150)]\n\
            for file in files:\n    file.write(bytes(15 << 20))\n    file.flush()\n\
            while True: pass\n";
        plugins.python("grows", source);
        let before = everything(plugins.path());
        let running = served(plugins.path(), python3()).await;
        let snapshot = running.snapshot();
        assert_eq!(snapshot.skipped, []);
        let plugin = &snapshot.plugins[0];
        let expected = "only its --help: writes more than 67108864 bytes before it asks its parser";
        assert_eq!(plugin.source, "help");
        assert!(
            plugin.warnings[0].contains(expected),
            "{:?}",
            plugin.warnings
        );
        assert_eq!(everything(plugins.path()), before);
    });
}

#[test]
fn what_a_program_removes_gives_its_room_back() {
    let directory = tempfile::tempdir().expect("there is room");
    let cli = directory.path().join("cli.py");
    let program = "import os\nfor n in range(400):\n    name = __file__ + str(n)\n    open(name, 'w').close()\n    os.remove(name)\n\
        import argparse\nargparse.ArgumentParser().parse_args()\n";
    std::fs::write(&cli, program).expect("the directory is ours");
    let answer = ask(&python3(), &cli);
    assert_eq!(answer.status, 0, "{}", answer.reason);
}

#[test]
fn the_copy_is_gone_however_its_program_ended() {
    let plugins = plugins_of(&["logs_at_import"]);
    let writes =
        "import ctypes, os\nos.makedirs('kept/here')\nopen('kept/here/file', 'w').write('x')\n";
    plugins.python("aborts", &format!("{writes}os.abort()\n"));
    // The interpreter is held all the time, so that only the server can end it.
    plugins.python("hangs", &format!("{writes}ctypes.PyDLL(None).sleep(600)\n"));
    let work = tempfile::tempdir().expect("there is room");
    let temporary = tempfile::tempdir().expect("there is room");
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command
        .arg("check")
        .env("MCP_PLUGINS_DIR", plugins.path())
        .env("TMPDIR", temporary.path())
        .current_dir(work.path());
    let checked = output_within(Duration::from_secs(120), &mut command);
    let printed = String::from_utf8_lossy(&checked.stdout);
    for expected in [
        "logs_at_import: 1 tool, by introspection",
        "aborts: not served",
        "hangs: not served: the question for its parser had no answer within 10 s",
    ] {
        assert!(printed.contains(expected), "{printed}");
    }
    assert!(everything(temporary.path()).is_empty(), "a copy is left");
    assert!(everything(work.path()).is_empty(), "something was made");
}
