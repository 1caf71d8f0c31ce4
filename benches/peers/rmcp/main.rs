//! The plugins of a directory as tools of the official Rust SDK's server, over Streamable HTTP: each call starts the
//! plugin's program, as smcp does. To compare with; not part of smcp.
//!
//!     cargo run --release --example rmcp_server -- PLUGINS PYTHON PORT

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

/// Plugins that are asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// All tools, with the command line of each.
#[derive(Debug, Clone, Default)]
struct Plugins {
    tools: Arc<Vec<Tool>>,
    argv: Arc<HashMap<String, Vec<PathBuf>>>,
}

impl ServerHandler for Plugins {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let unknown = || ErrorData::invalid_params(format!("no tool '{}'", request.name), None);
        let argv = self.argv.get(request.name.as_ref()).ok_or_else(unknown)?;
        let mut command = Command::new(&argv[0]);
        // The program ends with the future of its call; whether that is dropped is the server's doing.
        command.kill_on_drop(true);
        command.args(&argv[1..]).stdin(Stdio::null());
        for (name, value) in request.arguments.iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            command
                .arg(format!("--{}", name.replace('_', "-")))
                .arg(value);
        }
        let output = command.output().await;
        let output = output.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let content = vec![ContentBlock::text(text)];
        let result = if output.status.success() {
            CallToolResult::success(content)
        } else {
            CallToolResult::error(content)
        };
        Ok(result.into())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, python, port] = arguments.as_slice() else {
        anyhow::bail!("usage: rmcp_server PLUGINS PYTHON PORT");
    };
    let plugins = describe_all(Path::new(directory), Path::new(python)).await?;
    let service = StreamableHttpService::new(
        move || Ok(plugins.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // Without it, every answer waits for an acknowledgement.
        stream.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, std::convert::Infallible>(service.handle(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes is no error of the server's.
            let _ = connection
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn describe_all(directory: &Path, python: &Path) -> anyhow::Result<Plugins> {
    let mut asking = JoinSet::new();
    let (mut tools, mut argv) = (Vec::new(), HashMap::new());
    let mut programs = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path().join("cli.py")))
        .filter(|program| program.is_file());
    loop {
        while asking.len() < ASKED_AT_ONCE
            && let Some(program) = programs.next()
        {
            asking.spawn(describe(python.to_owned(), program));
        }
        let Some(described) = asking.join_next().await else {
            break;
        };
        for (tool, line) in described?? {
            argv.insert(tool.name.to_string(), line);
            tools.push(tool);
        }
    }
    Ok(Plugins {
        tools: Arc::new(tools),
        argv: Arc::new(argv),
    })
}

async fn describe(python: PathBuf, program: PathBuf) -> anyhow::Result<Vec<(Tool, Vec<PathBuf>)>> {
    let mut question = Command::new(&python);
    let output = question.arg(&program).arg("--describe").output().await?;
    let description: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the description of {}", program.display()))?;
    let plugin = program.parent().and_then(Path::file_name);
    let plugin = plugin
        .context("a plugin has a directory")?
        .to_string_lossy();
    let commands = description["commands"].as_array().into_iter().flatten();
    let described = commands.map(|command| {
        let name = command["name"].as_str().unwrap_or_default();
        let text = command["description"].as_str().unwrap_or_default();
        let tool = Tool::new(
            format!("{plugin}__{name}"),
            text.to_owned(),
            Arc::new(schema(&command["parameters"])),
        );
        (tool, vec![python.clone(), program.clone(), name.into()])
    });
    Ok(described.collect())
}

fn schema(parameters: &Value) -> rmcp::model::JsonObject {
    let parameters = parameters.as_array().into_iter().flatten();
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        if parameter["required"] == true {
            required.push(name.clone());
        }
        properties.insert(name, json!({"type": parameter["type"]}));
    }
    let schema = json!({"type": "object", "properties": properties, "required": required});
    schema.as_object().expect("it is an object").clone()
}
