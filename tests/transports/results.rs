//! Results and lists that no client refuses, whatever a plugin declares and prints that keeps the contract. Every message
//! is judged by the types of its revision.

use serde_json::{Value, json};

use crate::support::http::exchange;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, text_of};
use crate::support::streamable::{BOTH, post};

const AWKWARD: &str = include_str!("../fixtures/results/awkward/cli.py");
const OLD: [&str; 2] = ["2024-11-05", "2025-03-26"];
const WITH_HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const STATELESS: &str = "2026-07-28";

struct Served {
    server: Server,
    _plugins: Folder,
}

fn served() -> Served {
    let plugins = Folder::new();
    plugins.add("awkward", AWKWARD);
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    Served {
        server,
        _plugins: plugins,
    }
}

impl Served {
    fn session(&self, revision: &str) -> Session {
        let mut session = Session::open(self.server.address());
        session.initialize(revision);
        session
    }

    /// The result of a request of 2026-07-28.
    #[track_caller]
    fn stateless(&self, method: &str, mut params: Value) -> Value {
        let name = params["name"].as_str().map(str::to_owned);
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = name.map_or(String::new(), |name| format!("Mcp-Name: {name}\r\n"));
        let headers =
            format!("{BOTH}MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: {method}\r\n{name}");
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let at = self.server.address();
        let answer = exchange(at, &post(at, &headers, &message)).json();
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].clone()
    }
}

fn print(what: &Value) -> Value {
    json!({"print": what.to_string()})
}

fn entry<'a>(list: &'a Value, name: &str) -> &'a Value {
    let tools = list["tools"].as_array().expect("a list of tools");
    let wanted = |tool: &&Value| tool["name"] == format!("awkward__{name}");
    tools.iter().find(wanted).expect("it is listed")
}

#[test]
fn every_list_fits_the_types_of_its_revision() {
    let served = served();
    for revision in WITH_HANDSHAKE {
        let mut session = served.session(revision);
        for list in [
            "tools/list",
            "resources/list",
            "resources/templates/list",
            "prompts/list",
        ] {
            let answer = session.ask(list, json!({}));
            assert!(answer.get("result").is_some(), "{answer}");
        }
        let tools = session.ask("tools/list", json!({}))["result"].clone();
        for name in ["array", "union", "nothing", "anything", "two-types"] {
            let schema = &entry(&tools, name)["outputSchema"];
            assert_eq!(schema["type"], "object", "{name} under {revision}");
            assert_eq!(schema["required"], json!(["result"]));
        }
    }
    let tools = served.stateless("tools/list", json!({}));
    assert_eq!(entry(&tools, "array")["outputSchema"]["type"], "array");
    for tool in tools["tools"].as_array().expect("a list of tools") {
        let schema = &tool["inputSchema"];
        let properties = schema["properties"].as_object().expect("it has properties");
        assert!(properties.values().all(Value::is_object), "{tool}");
    }
    // What the validators of some clients cannot read is shown to none.
    for name in [
        "older-dialect",
        "own-pattern",
        "half-nullable",
        "far-reference",
        "circle",
        "disputed-below",
        "anchored",
    ] {
        assert_eq!(entry(&tools, name).get("outputSchema"), None, "{name}");
    }
    let disputed = &entry(&tools, "disputed")["outputSchema"]["properties"];
    let shown =
        json!({"price": {"type": "number"}, "at": {"type": "string"}, "pair": {"type": "array"}});
    assert_eq!(*disputed, shown);
    let named = &entry(&tools, "named")["outputSchema"];
    assert_eq!((&named["type"], named.get("$id")), (&json!("object"), None));
}

#[test]
fn structured_content_fits_the_schema_that_the_revision_was_shown() {
    let served = served();
    let values = [
        ("array", json!([1, 2])),
        ("union", json!([1, [2]])),
        ("nothing", json!(null)),
        ("anything", json!({"a": 1})),
        ("two-types", json!({"id": 1})),
        ("boolean-properties", json!({"id": 1})),
        ("object", json!({"id": 1})),
        ("disputed", json!({"price": 19.99, "pair": ["a"]})),
    ];
    let fits = |tools: &Value, name: &str, result: &Value| {
        let validator = jsonschema::validator_for(&entry(tools, name)["outputSchema"]);
        let validator = validator.expect("a schema");
        assert!(
            validator.is_valid(&result["structuredContent"]),
            "{name}: {result}"
        );
    };
    for revision in WITH_HANDSHAKE {
        let mut session = served.session(revision);
        let tools = session.ask("tools/list", json!({}))["result"].clone();
        for (name, value) in &values {
            let result = session.call(&format!("awkward__{name}"), print(value));
            assert!(result["structuredContent"].is_object(), "{result}");
            fits(&tools, name, &result);
        }
        let result = session.call("awkward__json", print(&json!([1])));
        assert_eq!(result["structuredContent"], json!({"result": [1]}));
        let printed = json!({"content": [], "structuredContent": [1]});
        let result = session.call("awkward__content", print(&printed));
        assert_eq!(result["structuredContent"], json!({"result": [1]}));
    }
    let tools = served.stateless("tools/list", json!({}));
    for (name, value) in &values {
        let name = *name;
        let params = json!({"name": format!("awkward__{name}"), "arguments": print(value)});
        let result = served.stateless("tools/call", params);
        assert_eq!(result["structuredContent"], *value);
        fits(&tools, name, &result);
    }
}

#[test]
fn a_failure_of_a_tool_with_a_schema_has_no_structured_content() {
    let served = served();
    let failure =
        |text: &str| json!({"content": [{"type": "text", "text": text}], "isError": true});
    let with = |mut result: Value, structured: Value| {
        result["structuredContent"] = structured;
        result.to_string()
    };
    let plain = json!({"content": [{"type": "text", "text": "done"}]});
    let cases = [
        ("object", "fail it broke".to_owned(), "it broke"),
        (
            "object",
            "no JSON".to_owned(),
            "declares JSON, but what it printed is none",
        ),
        (
            "object",
            r#"{"id":"x"}"#.to_owned(),
            "output_schema refuses",
        ),
        (
            "typed",
            with(failure("own words"), json!({"error": 1})),
            "own words",
        ),
        ("typed", failure("own words").to_string(), "own words"),
        ("typed", plain.to_string(), "without structuredContent"),
        ("typed", with(plain, json!([])), "output_schema refuses"),
        ("typed", "no JSON".to_owned(), "no tool result"),
    ];
    let mut session = served.session("2025-11-25");
    for (tool, printed, said) in &cases {
        let name = format!("awkward__{tool}");
        let arguments = json!({"print": printed});
        let params = json!({"name": name, "arguments": arguments});
        for result in [
            session.call(&name, arguments.clone()),
            served.stateless("tools/call", params),
        ] {
            assert_eq!(result["isError"], true, "{printed}: {result}");
            assert!(text_of(&result).contains(said), "{printed}: {result}");
            assert_eq!(result.get("structuredContent"), None, "{printed}: {result}");
            if *said != "own words" {
                assert_eq!(result["_meta"]["smcp/error"]["code"], "plugin_error");
            }
        }
    }
    // Structured content of a failure that fits is the program's to give.
    let fits = with(failure("own words"), json!({"id": 1}));
    let result = session.call("awkward__typed", json!({"print": fits}));
    assert_eq!(
        (&result["isError"], &result["structuredContent"]),
        (&json!(true), &json!({"id": 1}))
    );
    // Where there is no schema, the code stands where it always stood.
    let result = session.call("awkward__json", json!({"print": "fail it broke"}));
    assert_eq!(result["structuredContent"]["error"]["code"], "plugin_error");
    // What the server refuses by itself as well.
    let result = session.call("awkward__object", json!({"nobody": 1}));
    assert_eq!(result.get("structuredContent"), None, "{result}");
    assert_eq!(result["_meta"]["smcp/error"]["code"], "invalid_arguments");
}

#[test]
fn content_is_repaired_or_refused_with_the_name_of_its_plugin() {
    let served = served();
    let mut session = served.session("2025-11-25");
    let mut content = |result: Value| session.call("awkward__content", print(&result));
    let repaired = content(json!({"content": [
        {"type": "text", "text": "a", "annotations": null, "_meta": null},
        {"type": "resource", "resource": {"uri": "notes://1", "text": "b", "mimeType": null, "blob": null}},
        {"type": "image", "data": "aGk", "mimeType": "image/png", "annotations": {"audience": null, "priority": 0.5}},
    ], "_meta": null, "isError": null, "structuredContent": null, "resultType": "input_required"}));
    assert_eq!(
        repaired,
        json!({"content": [
            {"type": "text", "text": "a"},
            {"type": "resource", "resource": {"uri": "notes://1", "text": "b"}},
            {"type": "image", "data": "aGk", "mimeType": "image/png", "annotations": {"priority": 0.5}},
        ], "isError": false})
    );
    let block = |members: Value| json!({"content": [members]});
    let link = |members: Value| {
        let mut link = json!({"type": "resource_link", "uri": "notes://1", "name": "n"});
        let all = link.as_object_mut().expect("an object");
        all.extend(members.as_object().expect("an object").clone());
        block(link)
    };
    for (size, shown) in [
        (json!(-1), None),
        (json!(3.0), Some(3)),
        (json!(7), Some(7)),
    ] {
        let result = content(link(json!({"size": size})));
        assert_eq!(result["content"][0]["size"].as_u64(), shown, "{result}");
    }
    let cases = [
        (json!({"content": "a"}), "content must be an array"),
        (json!({"content": [5]}), "content[0] must be an object"),
        (
            json!({"content": [], "isError": "no"}),
            "isError must be true or false",
        ),
        (
            json!({"content": [], "_meta": []}),
            "_meta must be an object",
        ),
        (
            json!({"content": [], "_meta": {"progressToken": {}}}),
            "_meta.progressToken must be a string or a whole number",
        ),
        (
            json!({"content": [], "_meta": {"io.modelcontextprotocol/related-task": {"taskId": 5}}}),
            "taskId must be a string, not 5",
        ),
        (block(json!({"text": "a"})), "content[0] has no type"),
        (
            block(json!({"type": 5})),
            "content[0].type must be a string",
        ),
        (block(json!({"type": "text"})), "content[0] has no text"),
        (
            block(json!({"type": "text", "text": 5})),
            "content[0].text must be a string",
        ),
        (
            block(json!({"type": "text", "text": "a", "_meta": 5})),
            "content[0]._meta must be an object",
        ),
        (
            block(json!({"type": "text", "text": "a", "annotations": {"audience": ["robot"]}})),
            "content[0].annotations.audience[0] must be one of user, assistant",
        ),
        (
            block(json!({"type": "text", "text": "a", "annotations": {"priority": 2}})),
            "priority must be a number from 0 to 1",
        ),
        (
            block(
                json!({"type": "text", "text": "a", "annotations": {"lastModified": "yesterday"}}),
            ),
            "lastModified must be a time",
        ),
        (
            block(json!({"type": "image", "data": "aGk="})),
            "content[0] has no mimeType",
        ),
        (
            block(json!({"type": "image", "data": "*", "mimeType": "image/png"})),
            "content[0].data must be base64",
        ),
        (
            block(json!({"type": "resource"})),
            "content[0] has no resource",
        ),
        (
            block(json!({"type": "resource", "resource": {"uri": "notes://1"}})),
            "content[0].resource has neither text nor blob",
        ),
        (
            block(json!({"type": "resource", "resource": {"uri": "one", "text": "a"}})),
            "content[0].resource.uri must be an address",
        ),
        (link(json!({"uri": 5})), "content[0].uri must be a string"),
        (
            link(json!({"icons": [{}]})),
            "content[0].icons[0] has no src",
        ),
    ];
    for (printed, said) in cases {
        let result = content(printed);
        assert_eq!(result["isError"], true, "{said}: {result}");
        let text = text_of(&result);
        assert!(
            text.starts_with("awkward__content ") && text.contains(said),
            "{said}: {text}"
        );
    }
}

#[test]
fn blocks_that_a_revision_does_not_know_reach_its_clients_as_texts() {
    let served = served();
    let printed = json!({"content": [
        {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "notes://1", "name": "one"},
        {"type": "hologram", "depth": 5},
    ]});
    let types = |result: &Value| -> Vec<String> {
        let blocks = result["content"].as_array().expect("blocks").iter();
        blocks
            .map(|block| block["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    for revision in WITH_HANDSHAKE {
        let mut session = served.session(revision);
        let result = session.call("awkward__content", print(&printed));
        let expected = match revision {
            "2024-11-05" => ["text", "text", "text"],
            "2025-03-26" => ["audio", "text", "text"],
            _ => ["audio", "resource_link", "text"],
        };
        assert_eq!(types(&result), expected, "{revision}");
        assert_eq!(
            result["content"][2]["text"],
            r#"{"type":"hologram","depth":5}"#
        );
    }
    let params = json!({"name": "awkward__content", "arguments": print(&printed)});
    let result = served.stateless("tools/call", params);
    assert_eq!(types(&result), ["audio", "resource_link", "text"]);
}

#[test]
fn prompts_and_resources_and_completions_are_held_against_the_protocols_types() {
    let served = served();
    for revision in WITH_HANDSHAKE {
        let mut session = served.session(revision);
        let mut read = |name: &str| {
            let params = json!({"uri": format!("awkward://{name}")});
            session.ask("resources/read", params)
        };
        let book = read("book");
        let text = book["result"]["contents"][0]["text"].as_str();
        assert!(
            text.is_some_and(|text| text.contains("chapter one")),
            "{book}"
        );
        assert_eq!(
            read("result")["result"]["contents"],
            json!([{"uri": "awkward://result", "text": "a"}])
        );
        let wrong = read("wrong");
        let message = wrong["error"]["message"].as_str().unwrap_or_default();
        assert!(
            message.starts_with("awkward ")
                && message.contains("contents[0].text must be a string"),
            "{wrong}"
        );
        let mut prompt = |printed: Value| {
            let arguments = json!({"print": printed.to_string()});
            let params = json!({"name": "prompt", "arguments": arguments});
            session.ask("prompts/get", params)
        };
        let linked = json!({"messages": [{"role": "user", "content": {"type": "resource_link", "uri": "notes://1", "name": "one"}}], "description": null});
        let linked = prompt(linked);
        let kind = &linked["result"]["messages"][0]["content"]["type"];
        let expected = if OLD.contains(&revision) {
            "text"
        } else {
            "resource_link"
        };
        assert_eq!(kind, expected, "{linked}");
        let wrong = prompt(
            json!({"messages": [{"role": "system", "content": {"type": "text", "text": "a"}}]}),
        );
        let message = wrong["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("messages[0].role"), "{wrong}");
        let params = json!({"ref": {"type": "ref/prompt", "name": "prompt"}, "argument": {"name": "print", "value": ""}});
        let completion = session.ask("completion/complete", params);
        let completion = &completion["result"]["completion"];
        assert_eq!(completion["values"].as_array().map(Vec::len), Some(100));
        assert_eq!(
            (&completion["total"], &completion["hasMore"]),
            (&json!(500), &json!(true))
        );
    }
}
