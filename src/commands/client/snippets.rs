//! What connects each client, in the form that the client reads. The key stands nowhere: clients take it from a variable,
//! or ask for it.

use serde_json::{Map, Value, json};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::target::Target;
use crate::cli::ClientName;

/// The entry of a server in a client's file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The member of the file that has the servers.
    pub group: &'static str,
    /// What the client calls the server.
    pub name: String,
    /// The server.
    pub members: Map<String, Value>,
    /// What the client asks the user for, once: an element of the list `inputs`.
    pub input: Option<Value>,
}

impl Entry {
    /// What a file with nothing else in it would say, as JSON.
    pub fn as_json(&self) -> String {
        let mut whole = json!({});
        if let Some(input) = &self.input {
            whole["inputs"] = json!([input]);
        }
        whole[self.group] = json!({self.name.as_str(): self.members});
        format!("{whole:#}\n")
    }

    /// The same as TOML.
    pub fn as_toml(&self) -> String {
        let mut document = DocumentMut::new();
        let mut servers = Table::new();
        servers.set_implicit(true);
        let mut server = Table::new();
        for (name, member) in &self.members {
            server.insert(name, as_item(member));
        }
        servers.insert(&self.name, Item::Table(server));
        document.insert(self.group, Item::Table(servers));
        document.to_string()
    }
}

/// A member as TOML has it: texts, and lists of texts.
pub fn as_item(member: &Value) -> Item {
    match member {
        Value::Array(items) => {
            let items = items.iter().filter_map(Value::as_str);
            value(items.collect::<Array>())
        }
        other => value(other.as_str().unwrap_or_default()),
    }
}

/// The entry of a client that has a file of servers; `None` of the others.
pub fn entry(client: ClientName, name: &str, target: &Target) -> Option<Entry> {
    let group = match client {
        ClientName::Claude | ClientName::ClaudeCode | ClientName::Cursor => "mcpServers",
        ClientName::VsCode => "servers",
        ClientName::Codex => "mcp_servers",
        ClientName::Letta | ClientName::Inspector | ClientName::Python | ClientName::Curl => {
            return None;
        }
    };
    let mut input = None;
    let members = match target {
        Target::Stdio { command, args } => {
            let is_typed = matches!(
                client,
                ClientName::ClaudeCode | ClientName::Cursor | ClientName::VsCode
            );
            let kind = is_typed.then(|| ("type", json!("stdio")));
            let rest = [("command", json!(command)), ("args", json!(args))];
            members(kind.into_iter().chain(rest))
        }
        Target::Http { base, key } => {
            let is_typed = matches!(client, ClientName::ClaudeCode | ClientName::VsCode);
            let kind = is_typed.then(|| ("type", json!("http")));
            let url = ("url", json!(format!("{base}/mcp")));
            let key = key.as_deref().map(|variable| match client {
                ClientName::Codex => ("bearer_token_env_var", json!(variable)),
                _ => {
                    if client == ClientName::VsCode {
                        input = Some(asked(name));
                    }
                    let word = placeholder(client, name, variable);
                    (
                        "headers",
                        json!({"Authorization": format!("Bearer {word}")}),
                    )
                }
            });
            members(kind.into_iter().chain([url]).chain(key))
        }
    };
    Some(Entry {
        group,
        name: name.to_owned(),
        members,
        input,
    })
}

fn members(members: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    let members = members.into_iter();
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What a client puts the key in for.
fn placeholder(client: ClientName, name: &str, variable: &str) -> String {
    match client {
        ClientName::Cursor => format!("${{env:{variable}}}"),
        ClientName::VsCode => format!("${{input:{}}}", input_id(name)),
        _ => format!("${{{variable}}}"),
    }
}

fn input_id(name: &str) -> String {
    format!("{name}-key")
}

fn asked(name: &str) -> Value {
    json!({
        "type": "promptString",
        "id": input_id(name),
        "description": format!("Key of {name}"),
        "password": true,
    })
}

/// What is typed into a shell, or run by Python.
pub fn text(client: ClientName, name: &str, target: &Target) -> String {
    match (client, target) {
        (ClientName::Letta, Target::Http { base, key }) => letta(name, base, key.as_deref()),
        (ClientName::Inspector, target) => inspector(target),
        (ClientName::Python, target) => python(target),
        (_, Target::Http { base, key }) => curl(base, key.as_deref()),
        (_, Target::Stdio { command, args }) => command_line(command, args),
    }
}

fn letta(name: &str, base: &str, key: Option<&str>) -> String {
    let mut config = json!({
        "mcp_server_type": "streamable_http",
        "server_url": format!("{base}/mcp"),
    });
    if let Some(variable) = key {
        config["auth_header"] = json!("Authorization");
        // Between the quotation marks of the shell, which puts the key in.
        config["auth_token"] = json!(format!("Bearer '\"${variable}\"'"));
    }
    let body = json!({"server_name": name, "config": config});
    let body = shell_text(&format!("{body:#}"), key);
    format!(
        "curl -X POST \"${{LETTA_BASE_URL:-http://127.0.0.1:8283}}/v1/mcp-servers/\" \\\n  \
         -H \"Authorization: Bearer $LETTA_PASSWORD\" -H 'Content-Type: application/json' \\\n  -d {body}\n"
    )
}

/// A JSON text between single quotation marks. Where it names the key, the shell goes on in double ones.
fn shell_text(json: &str, key: Option<&str>) -> String {
    let Some(variable) = key else {
        return quoted(json);
    };
    let marked = format!("'\\\"${variable}\\\"'");
    let mut parts = json.split(&marked).map(quoted);
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |text, part| format!("{text}\"${variable}\"{part}"))
}

fn inspector(target: &Target) -> String {
    const PROGRAM: &str = "npx @modelcontextprotocol/inspector --cli";
    const METHOD: &str = "--method tools/list";
    match target {
        Target::Http { base, key } => {
            let url = quoted(&format!("{base}/mcp"));
            let header = key
                .as_deref()
                .map(|variable| format!(" \\\n  --header \"Authorization: Bearer ${variable}\""));
            let header = header.unwrap_or_default();
            format!("{PROGRAM} --transport http --server-url {url}{header} \\\n  {METHOD}\n")
        }
        Target::Stdio { command, args } => {
            let line = command_line(command, args);
            format!(
                "{PROGRAM} {} --transport stdio \\\n  {METHOD}\n",
                line.trim_end()
            )
        }
    }
}

fn curl(base: &str, key: Option<&str>) -> String {
    let url = quoted(&format!("{base}/messages/"));
    // It takes the brackets of IPv6 addresses for patterns.
    let globoff = if base.contains('[') { "-g " } else { "" };
    let header = key.map(|variable| format!(" -H \"Authorization: Bearer ${variable}\""));
    let header = header.unwrap_or_default();
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    format!(
        "curl {globoff}-X POST {url} \\\n  -H 'Content-Type: application/json'{header} \\\n  -d '{message}'\n"
    )
}

/// A script that works with the lines 1 and 2 of the SDK.
fn python(target: &Target) -> String {
    let literal = |text: &str| json!(text).to_string();
    match target {
        Target::Stdio { command, args } => format!(
            "# pip install mcp\n\
             import asyncio\n\n\
             from mcp import ClientSession, StdioServerParameters\n\
             from mcp.client.stdio import stdio_client\n\n\
             SERVER = StdioServerParameters(command={}, args={})\n\n\n\
             async def main():\n    async with stdio_client(SERVER) as streams, ClientSession(*streams) as session:\n\
             {PYTHON_BODY}",
            literal(command),
            json!(args),
        ),
        Target::Http { base, key } => {
            let (import, headers) = match key {
                Some(variable) => (
                    "import asyncio\nimport os\n",
                    format!("{{\"Authorization\": f\"Bearer {{os.environ['{variable}']}}\"}}"),
                ),
                None => ("import asyncio\n", "{}".to_owned()),
            };
            format!(
                "# pip install mcp\n\
                 {import}\n\
                 from mcp import ClientSession\n\
                 from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client\n\n\
                 URL = {}\n\
                 HEADERS = {headers}\n\n\n\
                 async def main():\n    async with (\n        \
                 create_mcp_http_client(headers=HEADERS) as http,\n        \
                 streamable_http_client(URL, http_client=http) as streams,\n        \
                 ClientSession(*streams[:2]) as session,\n    ):\n\
                 {PYTHON_BODY}",
                literal(&format!("{base}/mcp")),
            )
        }
    }
}

/// What the scripts do with the session.
const PYTHON_BODY: &str = "        await session.initialize()
        for tool in (await session.list_tools()).tools:
            print(tool.name, tool.description)


asyncio.run(main())
";

fn command_line(command: &str, args: &[String]) -> String {
    let words = [command].into_iter().chain(args.iter().map(String::as_str));
    let words: Vec<String> = words.map(quoted).collect();
    format!("{}\n", words.join(" "))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
