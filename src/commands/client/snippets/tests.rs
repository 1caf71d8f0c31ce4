//! What is printed is what its reader understands, and has no key in it.

use clap::ValueEnum as _;

use super::*;

fn http(key: Option<&str>) -> Target {
    Target::Http {
        base: "https://tools.example.org/x".to_owned(),
        key: key.map(str::to_owned),
    }
}

fn stdio() -> Target {
    Target::Stdio {
        command: "/opt/it's \"smcp\"".to_owned(),
        args: vec![
            "stdio".to_owned(),
            "--plugins-dir".to_owned(),
            "/a b".to_owned(),
        ],
    }
}

#[test]
fn every_entry_is_read_back_from_its_text_as_it_was_meant() {
    for target in [http(None), http(Some("SOME_KEY")), stdio()] {
        for client in ClientName::value_variants() {
            let Some(entry) = entry(*client, "my.tools", &target) else {
                continue;
            };
            let servers = if *client == ClientName::Codex {
                let document: DocumentMut = entry.as_toml().parse().unwrap();
                let server = &document["mcp_servers"]["my.tools"];
                for (name, member) in &entry.members {
                    assert_eq!(server[name].to_string().trim(), as_item(member).to_string());
                }
                continue;
            } else {
                serde_json::from_str::<Value>(&entry.as_json()).unwrap()
            };
            let server = &servers[entry.group]["my.tools"];
            assert_eq!(server.as_object(), Some(&entry.members), "{client:?}");
        }
    }
}

#[test]
fn each_client_takes_the_key_in_its_own_way() {
    let target = http(Some("SOME_KEY"));
    let of = |client| entry(client, "tools", &target).unwrap();
    let header = |client| of(client).members["headers"]["Authorization"].clone();
    assert_eq!(header(ClientName::ClaudeCode), "Bearer ${SOME_KEY}");
    assert_eq!(header(ClientName::Cursor), "Bearer ${env:SOME_KEY}");
    assert_eq!(header(ClientName::VsCode), "Bearer ${input:tools-key}");
    assert_eq!(of(ClientName::VsCode).input.unwrap()["id"], "tools-key");
    let codex = of(ClientName::Codex).members;
    assert_eq!(codex["bearer_token_env_var"], "SOME_KEY");
    for client in ClientName::value_variants() {
        match entry(*client, "tools", &http(None)) {
            Some(entry) => {
                assert_eq!(entry.input, None, "{client:?}");
                assert!(!entry.as_json().contains("Authorization"), "{client:?}");
            }
            None => {
                let text = text(*client, "tools", &http(None));
                assert!(!text.contains("KEY"), "{client:?}: {text}");
            }
        }
    }
}

/// The words that a shell makes of a command.
fn words(command: &str) -> Vec<String> {
    let script = format!("f() {{ printf '%s\\0' \"$@\"; }}; f {command}");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .env("SOME_KEY", "the key")
        .env("LETTA_PASSWORD", "p w")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn a_shell_reads_the_commands_as_they_are_meant() {
    let letta = words(&text(ClientName::Letta, "it's", &http(Some("SOME_KEY"))));
    let body: Value = serde_json::from_str(letta.last().unwrap()).unwrap();
    assert_eq!(body["server_name"], "it's");
    assert_eq!(body["config"]["auth_token"], "Bearer the key");
    assert_eq!(
        body["config"]["server_url"],
        "https://tools.example.org/x/mcp"
    );
    assert!(
        letta.contains(&"Authorization: Bearer p w".to_owned()),
        "{letta:?}"
    );

    let curl = words(&text(ClientName::Curl, "x", &http(Some("SOME_KEY"))));
    assert_eq!(curl[..3], ["curl", "-X", "POST"]);
    assert!(curl.contains(&"https://tools.example.org/x/messages/".to_owned()));
    assert!(curl.contains(&"Authorization: Bearer the key".to_owned()));
    serde_json::from_str::<Value>(curl.last().unwrap()).unwrap();

    let inspector = words(&text(ClientName::Inspector, "x", &stdio()));
    let command = inspector
        .iter()
        .position(|word| word == "/opt/it's \"smcp\"");
    let rest = &inspector[command.expect("one word") + 1..];
    assert_eq!(rest[..3], ["stdio", "--plugins-dir", "/a b"]);
}
