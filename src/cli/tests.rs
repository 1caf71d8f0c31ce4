use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn settings_stand_before_the_command_or_after_it_and_those_after_it_win() {
    let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.settings());
    for command in ["serve", "stdio", "check", "tools", "call health"] {
        for line in [
            format!("smcp --plugins-dir b {command}"),
            format!("smcp {command} --plugins-dir b"),
            format!("smcp --plugins-dir a {command} --plugins-dir b"),
        ] {
            let flags = read(&line).unwrap();
            let directory = flags.plugins.place.plugins_dir;
            assert_eq!(directory.as_deref(), Some("b"), "{line}");
        }
    }
    let flags = read("smcp --port 1 --host h serve --port 2").unwrap();
    assert_eq!(
        (flags.port.as_deref(), flags.host.as_deref()),
        (Some("2"), Some("h"))
    );
}

#[test]
fn a_command_takes_and_shows_only_the_flags_that_it_uses() {
    for (command, foreign) in [
        ("stdio", "--port"),
        ("check", "--host"),
        ("check", "--plugin-timeout"),
        ("tools", "--require-auth"),
        ("call", "--allow-external"),
    ] {
        let mut cli = Cli::command();
        let help = cli
            .find_subcommand_mut(command)
            .unwrap()
            .render_long_help()
            .to_string();
        assert!(!help.contains(foreign), "{command}: {help}");
        assert!(help.contains("--plugins-dir"), "{command}: {help}");
        assert!(Cli::try_parse_from(["smcp", command, foreign, "1"]).is_err());
    }
}

#[test]
fn flags_may_be_shortened_repeated_and_written_with_an_equals_sign() {
    let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.settings());
    for line in ["smcp --require", "smcp --r", "smcp serve --require-a"] {
        assert!(read(line).unwrap().require_auth, "{line}");
    }
    for line in [
        "smcp --plugin-time 5",
        "smcp --plugin 5",
        "smcp --pl=5",
        "smcp --plugin-timeout=1 --plugin-timeout=5",
        "smcp stdio --plugin-t 5",
    ] {
        let limit = read(line).unwrap().plugins.plugin_timeout;
        assert_eq!(limit.as_deref(), Some("5"), "{line}");
    }
    let flags = read("smcp --po=1 --ho h --allow --allow-external --port 2").unwrap();
    assert_eq!(
        (flags.port.as_deref(), flags.host.as_deref()),
        (Some("2"), Some("h"))
    );
    assert!(flags.allow_external);
    for line in [
        "smcp --p 5",
        "smcp --h 5",
        "smcp --unknown",
        "smcp --requires",
    ] {
        let refused = read(line).unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{line}: {refused}");
    }
}

#[test]
fn serving_is_what_happens_without_a_command() {
    let cli = Cli::try_parse_from(["smcp", "--host", "127.0.0.1", "--port", "8000"]).unwrap();
    assert!(cli.command.is_none());
    assert_eq!(cli.flags.port.as_deref(), Some("8000"));
}

#[test]
fn an_argument_of_a_tool_that_is_written_as_a_flag_is_shown_as_it_is_written_here() {
    let said = |words: &[&str]| {
        let line: Vec<OsString> = words.iter().map(OsString::from).collect();
        let refused = Cli::read(&line).unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{refused}");
        refused.to_string()
    };
    for (words, expected) in [
        (vec!["smcp", "call", "t", "--name", "Ada"], ": name=Ada\n"),
        (vec!["smcp", "call", "--name=Ada", "t"], ": name=Ada\n"),
        (vec!["smcp", "call", "t", "-n", "Ada L."], ": n='Ada L.'\n"),
        (
            vec!["smcp", "call", "t", "--loud", "--name", "x"],
            ": loud=true\n",
        ),
        (vec!["smcp", "call", "t", "--at=it's"], r": at='it'\''s'"),
    ] {
        let said = said(&words);
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    let elsewhere = said(&["smcp", "tools", "--name", "Ada"]);
    assert!(!elsewhere.contains("name=Ada"), "{elsewhere}");
}

#[test]
fn the_help_of_every_command_has_examples() {
    let mut cli = Cli::command();
    cli.build();
    for command in cli
        .get_subcommands_mut()
        .filter(|command| command.get_name() != "help")
    {
        let help = command.render_long_help().to_string();
        let examples = help.split_once("Examples:\n").map(|(_, examples)| examples);
        let own = format!("smcp {}", command.get_name());
        assert!(
            examples.is_some_and(|examples| examples.contains(&own)),
            "{help}"
        );
    }
}
