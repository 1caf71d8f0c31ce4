//! Which questions an executable may be asked: a script that never looks at them would do its work instead.

/// The interpreters that read `$1` and `$@`.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"];

/// How much of a script is looked at, in bytes.
pub const MAX_SCRIPT_BYTES: usize = 256 << 10;

/// The questions that a program may be run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Questions {
    /// `--describe`.
    pub describe: bool,
    /// `--help`.
    pub help: bool,
}

impl Questions {
    const ALL: Self = Self {
        describe: true,
        help: true,
    };
    const NONE: Self = Self {
        describe: false,
        help: false,
    };

    /// By the text of a program. Only a script can be looked into; anything else may be asked.
    pub fn of(program: &[u8]) -> Self {
        let Some(interpreter) = interpreter_of(program) else {
            return Self::ALL;
        };
        let has = |word: &str| {
            program
                .windows(word.len())
                .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
        };
        if !SHELLS.contains(&interpreter.as_str()) {
            let looks = ["arg", "opt", "cli", "command"]
                .iter()
                .any(|word| has(word));
            return if looks { Self::ALL } else { Self::NONE };
        }
        // Handed on to another program, which may know both.
        let passes_on = ["$@", "$*", "${@", "${*"].iter().any(|word| has(word));
        let looks = passes_on || has("getopts") || has("shift") || names_a_word(program);
        Self {
            // One that always prints its description needs no look at the question.
            describe: passes_on || (looks && has("describe")) || has("\"commands\""),
            help: passes_on || (looks && (has("help") || has("getopts") || has("usage"))),
        }
    }
}

fn first_line(program: &[u8]) -> &[u8] {
    program
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
}

/// The name of the interpreter in the first line, `env` looked through.
fn interpreter_of(program: &[u8]) -> Option<String> {
    let line = first_line(program.strip_prefix(b"#!")?);
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    match name(words.next()?).as_str() {
        "env" => words
            .find(|word| !word.starts_with('-') && !word.contains('='))
            .map(name),
        other => Some(other.to_owned()),
    }
}

/// Whether a shell script has `$1`, `${1` or `$#`.
fn names_a_word(script: &[u8]) -> bool {
    let mut pairs = script.windows(3);
    pairs.any(|three| {
        let digit = |byte: u8| matches!(byte, b'1'..=b'9' | b'#');
        three[0] == b'$' && (digit(three[1]) || (three[1] == b'{' && digit(three[2])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(program: &str) -> (bool, bool) {
        let questions = Questions::of(program.as_bytes());
        (questions.describe, questions.help)
    }

    #[test]
    fn a_script_that_looks_at_no_arguments_is_asked_nothing() {
        assert_eq!(asked("#!/bin/sh\nrm -rf build\n"), (false, false));
        assert_eq!(asked("#!/usr/bin/env node\nmain()\n"), (false, false));
    }

    #[test]
    fn a_script_is_asked_what_it_mentions() {
        let wrapped = "#!/usr/bin/env -S bash -e\nexec node real.js \"$@\"\n";
        assert_eq!(asked(wrapped), (true, true));
        assert_eq!(asked("#!/bin/sh\ncp \"$1\" backup/\n"), (false, false));
        let helped = "#!/bin/dash\ncase ${1} in --help) echo usage ;; esac\n";
        assert_eq!(asked(helped), (false, true));
        let described = "#!/bin/bash\n[ \"$1\" = --describe ] && cat description.json\n";
        assert_eq!(asked(described), (true, false));
        let constant = "#!/bin/sh\necho '{\"commands\": []}'\n";
        assert_eq!(asked(constant), (true, false));
        assert_eq!(asked("#!/usr/bin/ruby\nputs ARGV\n"), (true, true));
    }

    #[test]
    fn a_program_that_is_no_script_may_be_asked() {
        assert_eq!(asked("\u{7f}ELF"), (true, true));
        assert_eq!(asked(""), (true, true));
    }
}
