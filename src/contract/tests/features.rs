//! Resources, templates, prompts and completions of a description.

use super::*;

#[test]
fn a_completion_of_what_is_not_there_is_reported() {
    let hints = |completion: Value| {
        let mut entry = json!({"command": "c"});
        let members = entry.as_object_mut().expect("an object");
        members.extend(completion.as_object().expect("an object").clone());
        let description = read(&newer(json!({
            "commands": [],
            "prompts": [{"name": "review", "command": "r", "arguments": [{"name": "tag"}]}],
            "resources": [{"uri": "notes://all", "name": "all", "command": "l"}],
            "resource_templates": [{"uriTemplate": "notes://{id}", "name": "note", "command": "n"}],
            "completions": [entry],
        })));
        description.expect("it keeps the contract").warnings
    };
    let prompt = |name: &str| json!({"type": "ref/prompt", "name": name});
    let resource = |uri: &str| json!({"type": "ref/resource", "uri": uri});
    for known in [
        json!({"ref": prompt("review"), "argument": "tag"}),
        json!({"ref": prompt("review")}),
        json!({"ref": resource("notes://{id}"), "argument": "id"}),
        json!({"ref": resource("notes://all")}),
    ] {
        assert_eq!(hints(known), [""; 0]);
    }
    for (unknown, said) in [
        (
            json!({"ref": prompt("rework"), "argument": "tag"}),
            "completions[0].ref names 'rework', which this plugin does not have",
        ),
        (
            json!({"ref": prompt("rework")}),
            "completions[0].ref names 'rework', which this plugin does not have",
        ),
        (
            json!({"ref": prompt("review"), "argument": "tags"}),
            "completions[0].argument 'tags' is none of 'review', which has tag",
        ),
        (
            json!({"ref": resource("notes://all"), "argument": "id"}),
            "completions[0].argument 'id' is none of 'notes://all', which has none",
        ),
    ] {
        assert_eq!(hints(unknown), [said]);
    }
}

#[test]
fn what_is_served_besides_tools_is_read_with_its_command() {
    let description = read(&json!({
        "contract_version": "1.1",
        "commands": [],
        "resources": [{"uri": "n://all", "name": "all", "mimeType": "text/plain", "command": "list", "size": 5}],
        "resource_templates": [{"uriTemplate": "n://{id}", "name": "one", "description": "\u{1b}[1mOne", "command": "read"}],
        "prompts": [{"name": "review", "arguments": [{"name": "tag", "required": true}, {"name": "x"}], "command": "review"}],
        "completions": [{"ref": {"type": "ref/prompt", "name": "review"}, "argument": "tag", "command": "complete"}],
    }))
    .expect("it keeps the contract");
    let [all, one, review, completion] = description.offers.as_slice() else {
        panic!("four offers")
    };
    assert_eq!(
        (all.kind.clone(), all.command.as_str()),
        (OfferKind::Resource, "list")
    );
    assert_eq!(
        all.definition,
        json!({"uri": "n://all", "name": "all", "mimeType": "text/plain", "size": 5})
    );
    assert_eq!(one.definition["description"], "One");
    let OfferKind::Prompt(arguments) = &review.kind else {
        panic!("a prompt")
    };
    assert_eq!(
        arguments
            .iter()
            .map(|argument| argument.required)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(
        completion.kind,
        OfferKind::Completion {
            reference: Reference::Prompt("review".to_owned()),
            argument: Some("tag".to_owned())
        }
    );
}
