//! Commands of argparse that have sub-commands and work without one: which of them are tools.

use serde_json::{Value, json};

use super::asking::{payload, python3};
use super::serving::served;
use crate::catalog::{Plugins, live};

/// A program whose sub-commands are `index` and `drop`, with an option of its own, and `rest` below its parser.
fn program(branch: &str, rest: &str) -> String {
    format!(
        "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--query')\n\
         branch = parser.add_subparsers({branch})\nindex = branch.add_parser('index')\ndrop = branch.add_parser('drop')\n\
         def search(query): print('search', query)\ndef work(args): search(args.query)\n{rest}"
    )
}

/// The names of what the parser of `source`, a plugin `find`, is read as.
fn commands(source: &str) -> Vec<String> {
    let plugins = Plugins::new();
    plugins.python("find", source);
    let found = payload(&python3(), &plugins.path().join("find/cli.py"));
    names(&found)
}

fn names(payload: &Value) -> Vec<String> {
    let commands = payload["commands"].as_array().into_iter().flatten();
    commands
        .map(|command| command["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn a_command_with_a_function_of_its_own_beside_those_of_its_sub_commands_is_a_tool() {
    let rest = "parser.set_defaults(run=work)\nindex.set_defaults(run=print)\nargs = parser.parse_args()\n\
                args.run(args)\n";
    for branch in ["", "dest='c'"] {
        assert_eq!(
            commands(&program(branch, rest)),
            ["index", "drop", "find"],
            "{branch}"
        );
    }
    let found = commands(&program("dest='c', required=True", rest));
    assert_eq!(found, ["index", "drop"]);
}

#[test]
fn a_function_that_measures_usage_or_calls_a_helper_does_not_show_the_help() {
    for own in [
        "shutil.disk_usage('/')",
        "helper()",
        "helpful_search(args.query)",
    ] {
        let rest = format!(
            "import shutil\ndef own(args): return {own}\nparser.set_defaults(run=own)\nindex.set_defaults(run=print)\n\
             args = parser.parse_args()\nargs.run(args)\n"
        );
        assert_eq!(
            commands(&program("dest='c'", &rest)),
            ["index", "drop", "find"],
            "{own}"
        );
    }
}

#[test]
fn nothing_is_guessed_of_a_command_without_one() {
    for rest in [
        "parser.parse_args()\n",
        "args = parser.parse_args()\nif args.c is None:\n    parser.print_help()\n    sys.exit(1)\n",
        "args = parser.parse_args()\nif args.c is None:\n    work(args)\n",
        "parser.set_defaults(run=lambda args: parser.print_help())\nindex.set_defaults(run=work)\n\
         args = parser.parse_args()\nargs.run(args)\n",
        "def own(args): show_help()\nparser.set_defaults(run=own)\nindex.set_defaults(run=work)\n\
         args = parser.parse_args()\nargs.run(args)\n",
        "def own(args): parser.print_usage()\nparser.set_defaults(run=own)\nindex.set_defaults(run=work)\n\
         args = parser.parse_args()\nargs.run(args)\n",
        "parser.set_defaults(run=parser.format_help)\nindex.set_defaults(run=work)\nargs = parser.parse_args()\n\
         args.run(args)\n",
        "parser.set_defaults(colour=True, run=None)\nindex.set_defaults(run=work)\nargs = parser.parse_args()\n",
    ] {
        let found = commands(&program("dest='c'", rest));
        assert_eq!(found, ["index", "drop"], "{rest}");
    }
}

#[test]
fn what_a_sub_command_would_take_is_no_parameter_of_the_command_above_it() {
    let source = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('file')\n\
         parser.add_argument('more', nargs='*')\nparser.set_defaults(run=print)\nbranch = parser.add_subparsers(dest='c')\n\
         branch.add_parser('show').set_defaults(run=print)\nargs = parser.parse_args()\nargs.run('opened', args.file)\n";
    let plugins = Plugins::new();
    plugins.python("open", source);
    let found = payload(&python3(), &plugins.path().join("open/cli.py"));
    let own = &found["commands"][0];
    assert_eq!((&own["name"], &own["invoke"]), (&json!("open"), &json!([])));
    let parameters = own["parameters"].as_array().expect("parameters");
    assert_eq!(parameters.len(), 1, "{parameters:?}");
    assert_eq!(parameters[0]["name"], "file");
}

#[test]
fn a_sub_command_with_the_name_of_its_plugin_keeps_it() {
    let rest = "parser.set_defaults(run=work)\nbranch.add_parser('find').set_defaults(run=work)\n\
                args = parser.parse_args()\nargs.run(args)\n";
    let plugins = Plugins::new();
    plugins.python("find", &program("dest='c'", rest));
    let found = payload(&python3(), &plugins.path().join("find/cli.py"));
    assert_eq!(names(&found), ["index", "drop", "find"]);
    assert_eq!(found["commands"][2]["invoke"], json!(["find"]));
}

#[test]
fn every_command_that_a_help_text_lists_is_served_as_version_3_served_it() {
    live(async {
        let plugins = Plugins::new();
        let source = "import argparse\nparser = argparse.ArgumentParser(formatter_class=argparse.RawTextHelpFormatter,\n    \
             epilog='Available commands:\\n  user  lists or adds\\n  rm    removes\\n  old   still there\\n  gone  not there\\n')\n\
             branch = parser.add_subparsers(dest='word')\nuser = branch.add_parser('user')\n\
             inner = user.add_subparsers(dest='what')\ninner.add_parser('add').add_argument('--name', required=True)\n\
             branch.add_parser('remove', aliases=['rm'])\nbranch.add_parser('old', help=argparse.SUPPRESS)\n\
             branch.add_parser('inside', help=argparse.SUPPRESS)\nargs = parser.parse_args()\n\
             print(args.word, getattr(args, 'what', None), getattr(args, 'name', None))\n";
        plugins.python("people", source);
        let running = served(plugins.path(), python3()).await;
        let mut names = running.names();
        names.retain(|name| name.starts_with("people__"));
        names.sort();
        assert_eq!(
            names,
            [
                "people__old",
                "people__remove",
                "people__rm",
                "people__user",
                "people__user-add"
            ]
        );
        for (tool, given, said) in [
            ("people__user", json!({}), "user None None"),
            ("people__user-add", json!({"name": "Ada"}), "user add Ada"),
            ("people__rm", json!({}), "rm None None"),
            ("people__old", json!({}), "old None None"),
        ] {
            assert_eq!(running.text(tool, given).await.trim(), said);
        }
    });
}

#[test]
fn the_title_of_the_sub_commands_lists_them_too() {
    let source = "import argparse\nparser = argparse.ArgumentParser()\n\
         branch = parser.add_subparsers(title='Available commands', dest='word')\n\
         inner = branch.add_parser('user', help='lists or adds').add_subparsers(dest='what')\ninner.add_parser('add')\n\
         parser.parse_args()\n";
    assert_eq!(commands(source), ["user-add", "user"]);
}
