//! What stays as it is in a client's file, and what is not touched at all.

use super::*;
use crate::cli::ClientName;
use crate::commands::client::snippets;
use crate::commands::client::target::Target;

fn http() -> Target {
    Target::Http {
        base: "http://h:1".to_owned(),
        key: Some("K".to_owned()),
    }
}

fn stdio() -> Target {
    Target::Stdio {
        command: "/bin/smcp".to_owned(),
        args: vec!["stdio".to_owned()],
    }
}

fn edited(client: ClientName, form: Form, target: &Target, text: &str) -> anyhow::Result<String> {
    let entry = snippets::entry(client, "smcp", target).expect("it has a file");
    with_entry(text, form, &entry)
}

#[test]
fn comments_order_and_other_entries_stay_to_the_letter() {
    let old = "// mine\n{\n    \"zeta\": 1, // last things first\n    \"servers\": {\n        \
               /* kept */\n        \"other\": {\"command\": \"x\",   \"args\": [ 1.0,2e3 ]},\n    },\n    \"alpha\": null,\n}\n";
    let new = edited(ClientName::VsCode, Form::JsonWithComments, &http(), old).unwrap();
    let mut rest = new.lines();
    for line in old.lines() {
        assert!(rest.any(|known| known == line), "{line} is gone:\n{new}");
    }
    let read = CstRootNode::parse(&new, &ParseOptions::default()).unwrap();
    let read = read.to_serde_value().unwrap();
    assert_eq!(read["servers"]["smcp"]["url"], "http://h:1/mcp");
    assert_eq!(read["inputs"][0]["id"], "smcp-key");
    assert_eq!(read["servers"]["other"]["args"][1], 2000.0);
}

#[test]
fn a_second_time_changes_nothing() {
    for (client, form) in [
        (ClientName::Claude, Form::Json),
        (ClientName::ClaudeCode, Form::Json),
        (ClientName::Cursor, Form::JsonWithComments),
        (ClientName::VsCode, Form::JsonWithComments),
        (ClientName::Codex, Form::Toml),
    ] {
        for target in [http(), stdio()] {
            for old in [
                "",
                "\n",
                if form == Form::Toml {
                    "# mine\nx = 1\n"
                } else {
                    "{\"x\":1}"
                },
            ] {
                let once = edited(client, form, &target, old).unwrap();
                assert_ne!(once, old, "{client:?}");
                let twice = edited(client, form, &target, &once).unwrap();
                assert_eq!(twice, once, "{client:?}");
            }
        }
    }
}

#[test]
fn an_old_entry_loses_its_old_way_and_keeps_what_somebody_has_added() {
    let old = r#"{"mcpServers": {"smcp": {"command": "/old", "args": [], "env": {"A": "1"}, "disabled": true}, "b": {"command": "b"}}}"#;
    let read = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let new = read(edited(ClientName::ClaudeCode, Form::Json, &http(), old).unwrap());
    let server = &new["mcpServers"]["smcp"];
    assert_eq!(server["url"], "http://h:1/mcp");
    assert_eq!(server["disabled"], true);
    for gone in ["command", "args", "env"] {
        assert!(server.get(gone).is_none(), "{server}");
    }
    assert_eq!(new["mcpServers"]["b"]["command"], "b");
    let new = read(edited(ClientName::ClaudeCode, Form::Json, &stdio(), old).unwrap());
    let server = &new["mcpServers"]["smcp"];
    assert_eq!(
        (&server["command"], &server["env"]["A"]),
        (&"/bin/smcp".into(), &"1".into())
    );
}

#[test]
fn toml_keeps_its_comments_and_its_form() {
    let old = "# mine\nmodel = \"x\"  # the best\n\n[mcp_servers.other]\ncommand = 'a' # kept\n\n\
               [mcp_servers.smcp] # ours\ncommand = \"/old\" # where it is\nenv = { A = \"1\" }\nstartup_timeout_sec = 20\n\n[z]\ny = 1\n";
    let new = edited(ClientName::Codex, Form::Toml, &stdio(), old).unwrap();
    let expected = old.replace(
        "command = \"/old\" # where it is",
        "command = \"/bin/smcp\" # where it is",
    );
    let expected = expected.replace(
        "startup_timeout_sec = 20\n",
        "startup_timeout_sec = 20\nargs = [\"stdio\"]\n",
    );
    assert_eq!(new, expected);
    let new = edited(ClientName::Codex, Form::Toml, &http(), old).unwrap();
    let read: DocumentMut = new.parse().unwrap();
    let server = read["mcp_servers"]["smcp"].as_table().unwrap();
    let names: Vec<&str> = server.iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["startup_timeout_sec", "url", "bearer_token_env_var"]
    );
    let inline = "mcp_servers = { other = { command = \"a\" } }\n";
    let new = edited(ClientName::Codex, Form::Toml, &stdio(), inline).unwrap();
    let read: DocumentMut = new.parse().unwrap();
    assert_eq!(
        read["mcp_servers"]["smcp"]["command"].as_str(),
        Some("/bin/smcp")
    );
}

#[test]
fn what_cannot_be_read_for_certain_is_left_as_it_is() {
    for (form, text) in [
        (Form::Json, "{\"a\": 1} // no comments here\n"),
        (Form::Json, "{\"a\": 1,}"),
        (Form::JsonWithComments, "{'a': 1}"),
        (Form::JsonWithComments, "{a: 1}"),
        (Form::JsonWithComments, "{\"a\": 1 \"b\": 2}"),
        (Form::JsonWithComments, "{\"servers\": {}"),
        (Form::JsonWithComments, "[]"),
        (Form::JsonWithComments, "{\"servers\": []}"),
        (Form::JsonWithComments, "{\"servers\": {\"smcp\": 1}}"),
        (Form::JsonWithComments, "{\"servers\": {}, \"servers\": {}}"),
        (
            Form::JsonWithComments,
            "{\"servers\": {\"smcp\": {}, \"smcp\": {}}}",
        ),
        (Form::JsonWithComments, "{\"inputs\": {}}"),
        (Form::Toml, "mcp_servers = 1\n"),
        (Form::Toml, "[mcp_servers]\nsmcp = 1\n"),
        (Form::Toml, "a = 1\na = 2\n"),
        (Form::Toml, "a = [\n"),
    ] {
        let client = match form {
            Form::Toml => ClientName::Codex,
            Form::Json | Form::JsonWithComments => ClientName::VsCode,
        };
        let refused = edited(client, form, &http(), text);
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
}

#[test]
fn lines_end_as_they_ended() {
    let unix = "# mine\nmodel = \"x\"\n\n[mcp_servers.other]\ncommand = \"y\"\n";
    let windows = unix.replace('\n', "\r\n");
    let (unix, windows) = (
        edited(ClientName::Codex, Form::Toml, &stdio(), unix).unwrap(),
        edited(ClientName::Codex, Form::Toml, &stdio(), &windows).unwrap(),
    );
    assert!(!unix.contains('\r'));
    assert_eq!(windows, unix.replace('\n', "\r\n"));
}
