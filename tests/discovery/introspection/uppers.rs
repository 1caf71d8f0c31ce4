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
fn a_program_that_says_what_it_does_without_a_sub_command_is_a_tool_itself() {
    let with_dest = [
        "args = parser.parse_args()\nprint('indexed' if args.c else f'search {args.query}')\n",
        "args = parser.parse_args()\nif args.c is None:\n    work(args)\n",
        "args = parser.parse_args()\nword = args.c\nif not word:\n    work(args)\n    sys.exit(0)\n",
        "args = parser.parse_args()\nif args.c == 'index':\n    print('i')\nelif args.c == 'drop':\n    print('d')\n\
         else:\n    work(args)\n",
        "def main():\n    args = parser.parse_args()\n    if getattr(args, 'c', None):\n        return 0\n    \
         search(args.query)\nmain()\n",
        "args = parser.parse_args()\nif args.c is None:\n    if args.query:\n        work(args)\n    else:\n        \
         parser.print_help()\n",
    ];
    for rest in with_dest {
        let found = commands(&program("dest='c'", rest));
        assert_eq!(found, ["index", "drop", "find"], "{rest}");
    }
    let by_function = "parser.set_defaults(run=work)\nindex.set_defaults(run=print)\nargs = parser.parse_args()\n\
                       args.run(args)\n";
    assert_eq!(
        commands(&program("", by_function)),
        ["index", "drop", "find"]
    );
}

#[test]
fn a_program_that_needs_a_sub_command_or_shows_its_help_without_one_is_no_tool() {
    let optional = [
        "parser.parse_args()\n",
        "args = parser.parse_args()\nif args.c is None:\n    parser.print_help()\n    sys.exit(1)\n",
        "args = parser.parse_args()\nif not args.c:\n    parser.error('which?')\n",
        "args = parser.parse_args()\nif not args.c:\n    print('which?')\n    sys.exit(2)\n",
        "def main():\n    args = parser.parse_args()\n    if args.c:\n        return 0\n    print('which?')\n    \
         return 1\nmain()\n",
        "args = parser.parse_args()\nif args.c is None:\n    args.c = 'index'\n",
        "args = parser.parse_args()\nif args.c == 'index':\n    print('i')\nelse:\n    work(args)\n",
        "parser.set_defaults(run=lambda args: parser.print_help())\nindex.set_defaults(run=work)\n\
         args = parser.parse_args()\nargs.run(args)\n",
        "index.set_defaults(run=work)\nargs = parser.parse_args()\nif hasattr(args, 'run'):\n    args.run(args)\n\
         else:\n    parser.print_usage()\n",
    ];
    for rest in optional {
        let found = commands(&program("dest='c'", rest));
        assert_eq!(found, ["index", "drop"], "{rest}");
    }
    let required = "args = parser.parse_args()\nif args.c is None:\n    work(args)\n";
    let found = commands(&program("dest='c', required=True", required));
    assert_eq!(found, ["index", "drop"]);
}

#[test]
fn what_a_sub_command_would_take_is_no_parameter_of_the_command_above_it() {
    let source = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('file')\n\
         parser.add_argument('more', nargs='*')\nbranch = parser.add_subparsers(dest='c')\nbranch.add_parser('show')\n\
         args = parser.parse_args()\nif args.c is None:\n    print('opened', args.file)\n";
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
    let rest = "branch.add_parser('find')\nargs = parser.parse_args()\nif args.c is None:\n    work(args)\n";
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
