//! A server of one's own and the SDK's client connected to it; knows no claim.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, GetPromptRequestParams,
    ProtocolVersion, ReadResourceRequestParams, RequestMetaObject,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, PeerRequestOptions, RequestHandle, RunningService,
    serve_client_with_lifecycle,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{Peer, RoleClient, ServiceError};
use rustix::process::Pid;
use serde_json::{Map, Value, json};

use super::user::{Notice, User};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::{processes, s};

/// How long anything ordinary may take on a busy machine.
pub const PATIENCE: Duration = s(20);

/// Where the client connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Mcp,
    /// The server as the client's child.
    Stdio,
}

/// How the client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, then 2025-11-25.
    Handshake,
    /// `server/discover`, then every request for itself: 2026-07-28.
    Stateless,
}

impl Era {
    /// The revision that is agreed on.
    pub fn revision(self) -> ProtocolVersion {
        match self {
            Self::Handshake => ProtocolVersion::V_2025_11_25,
            Self::Stateless => ProtocolVersion::V_2026_07_28,
        }
    }

    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Handshake => ClientLifecycleMode::Initialize,
            Self::Stateless => ClientLifecycleMode::Discover {
                preferred_versions: vec![self.revision()],
            },
        }
    }
}

/// Plugins, and for the transport over HTTP the server that serves them.
#[derive(Debug)]
pub struct Served {
    transport: Transport,
    era: Era,
    plugins: Folder,
    names: Vec<String>,
    work: tempfile::TempDir,
    server: Option<Server>,
}

impl Served {
    /// Serves some of the bundled plugins and of the fixtures.
    pub fn new(transport: Transport, era: Era, plugins: &[&str]) -> Self {
        Self::with_setup(transport, era, plugins, Setup::new())
    }

    /// Serves a shell script as the plugin `script`.
    pub fn script(transport: Transport, era: Era, program: &str) -> Self {
        let folder = Folder::new();
        folder.add_executable("script", program);
        Self::start(transport, era, folder, &["script"], Setup::new())
    }

    /// The server is set up further; meant for the transport over HTTP.
    pub fn with_setup(transport: Transport, era: Era, plugins: &[&str], setup: Setup) -> Self {
        let folder = Folder::new();
        for name in plugins {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let bundled = root.join("plugins").join(name);
            let fixture = root.join("tests/fixtures/plugins").join(name);
            let plugin = if bundled.exists() { bundled } else { fixture };
            std::os::unix::fs::symlink(plugin, folder.path().join(name)).expect("a new name");
        }
        Self::start(transport, era, folder, plugins, setup)
    }

    fn start(
        transport: Transport,
        era: Era,
        plugins: Folder,
        names: &[&str],
        setup: Setup,
    ) -> Self {
        let server = (transport == Transport::Mcp).then(|| {
            let server = Server::start(&setup.plugins(plugins.path()));
            server.ready();
            server
        });
        Self {
            transport,
            era,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            work: tempfile::tempdir().expect("a directory for temporary files"),
            plugins,
            server,
        }
    }

    /// A file of the test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// A client that can be asked nothing.
    pub async fn connect(&self) -> Connection {
        self.connect_as(User::default()).await
    }

    /// A client with this user.
    pub async fn connect_as(&self, user: User) -> Connection {
        let user = user.of_revision(self.era.revision());
        let connection = self
            .try_connect(user, self.era.lifecycle(), None)
            .await
            .expect("the server takes the client in");
        connection.finds(&self.names).await;
        connection
    }

    /// A client that begins as it likes, with a key or without.
    pub async fn try_connect(
        &self,
        user: User,
        lifecycle: ClientLifecycleMode,
        key: Option<&str>,
    ) -> Result<Connection, ClientInitializeError> {
        let (client, child) = match &self.server {
            Some(server) => {
                let uri = format!("http://{}/mcp", server.address());
                let mut config = StreamableHttpClientTransportConfig::with_uri(uri);
                if let Some(key) = key {
                    config = config.auth_header(key);
                }
                // It makes a client for TLS as well. The second one of a process finds this installed.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let transport = StreamableHttpClientTransport::from_config(config);
                let client = serve_client_with_lifecycle(user, transport, lifecycle).await?;
                (client, None)
            }
            None => {
                let transport = self.child();
                let child = transport.id().and_then(|id| Pid::from_raw(id as i32));
                let client = serve_client_with_lifecycle(user, transport, lifecycle).await?;
                (client, child)
            }
        };
        Ok(Connection { client, child })
    }

    /// The server as a desktop client starts it.
    fn child(&self) -> TokioChildProcess {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .expect("a directory of our own");
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_smcp"));
        command
            .args(["stdio", "--plugins-dir"])
            .arg(self.plugins.path())
            .env_clear()
            .envs(crate::support::COVERAGE)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.work.path())
            .env("MCP_DISABLE_FILE_LOG", "1")
            .current_dir(self.work.path());
        let (transport, _) = TokioChildProcess::builder(command)
            .stderr(log)
            .spawn()
            .expect("the binary can be executed");
        transport
    }

    fn log(&self) -> PathBuf {
        self.file("stderr")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if std::thread::panicking() && self.transport == Transport::Stdio {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            eprintln!("the server's log, {:?}:\n{log}", self.era);
        }
    }
}

/// A connected client.
#[derive(Debug)]
pub struct Connection {
    client: RunningService<RoleClient, User>,
    child: Option<Pid>,
}

impl Connection {
    /// The SDK's own face.
    pub fn peer(&self) -> &Peer<RoleClient> {
        self.client.peer()
    }

    /// The revision that was agreed on.
    pub fn revision(&self) -> ProtocolVersion {
        let server = self.client.peer_info().expect("it is connected");
        server.protocol_version.clone()
    }

    /// Calls a tool as programs do, questions to the user included.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        self.client.call_tool(call_of(tool, arguments)).await
    }

    /// Calls a tool that exists.
    #[track_caller]
    pub fn result(
        &self,
        tool: &str,
        arguments: Value,
    ) -> impl Future<Output = CallToolResult> + use<'_> {
        let call = call_of(tool, arguments);
        async move {
            let name = call.name.clone();
            let result = self.client.call_tool(call).await;
            result.unwrap_or_else(|error| panic!("no result of {name}: {error}"))
        }
    }

    /// The messages of a prompt as JSON, questions to the user included.
    pub async fn prompt(&self, name: &str, arguments: Value) -> Result<Value, ServiceError> {
        let prompt = GetPromptRequestParams::new(name).with_arguments(object(arguments));
        let result = self.client.get_prompt(prompt).await?;
        Ok(json!(result.messages))
    }

    /// The contents of a resource as JSON.
    pub async fn read(&self, uri: &str) -> Result<Value, ServiceError> {
        let result = self
            .client
            .read_resource(ReadResourceRequestParams::new(uri));
        Ok(json!(result.await?.contents))
    }

    /// Sends a call and does not wait for its result.
    pub async fn begin(&self, tool: &str, arguments: Value) -> RequestHandle<RoleClient> {
        self.begin_with(tool, arguments, PeerRequestOptions::no_options())
            .await
    }

    /// The same, with further members of `_meta`.
    pub async fn begin_with_meta(
        &self,
        tool: &str,
        arguments: Value,
        meta: RequestMetaObject,
    ) -> RequestHandle<RoleClient> {
        let options = PeerRequestOptions::no_options().with_meta(meta);
        self.begin_with(tool, arguments, options).await
    }

    async fn begin_with(
        &self,
        tool: &str,
        arguments: Value,
        options: PeerRequestOptions,
    ) -> RequestHandle<RoleClient> {
        let request = CallToolRequest::new(call_of(tool, arguments));
        self.client
            .send_cancellable_request(ClientRequest::CallToolRequest(request), options)
            .await
            .expect("the connection is open")
    }

    /// What was told so far, kept by the user.
    pub fn user(&self) -> &User {
        self.client.service()
    }

    /// The first notice of a kind, waited for.
    pub async fn told<T>(&self, what: &str, pick: impl Fn(&Notice) -> Option<T>) -> T {
        eventually(what, PATIENCE, || {
            self.user().notices().iter().find_map(&pick)
        })
        .await
    }

    /// Leaves, and for the server that was its child sees that it is gone.
    pub async fn end(self) {
        self.client
            .cancel()
            .await
            .expect("the client does not panic");
        if let Some(child) = self.child {
            assert!(!processes::lives(child), "the server outlives its client");
        }
    }

    /// Waits until the plugins have described themselves: a server on stdio serves as soon as it is started.
    async fn finds(&self, plugins: &[String]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let health = self.result("health", json!({})).await;
            let health: Value = serde_json::from_str(text_of(&health)).expect("health is JSON");
            if health["plugin_names"] == json!(plugins) {
                return;
            }
            assert!(Instant::now() < deadline, "not {plugins:?}: {health}");
            tokio::time::sleep(PACE).await;
        }
    }
}

fn call_of(tool: &str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool.to_owned()).with_arguments(object(arguments))
}

fn object(arguments: Value) -> Map<String, Value> {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object, not {arguments}");
    };
    arguments
}

/// The text of a result that is one text.
#[track_caller]
pub fn text_of(result: &CallToolResult) -> &str {
    match result.content.as_slice() {
        [block] => &block.as_text().expect("a text").text,
        blocks => panic!("not one block: {blocks:?}"),
    }
}

const PACE: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and lets the client do its part meanwhile.
pub async fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(PACE).await;
    }
}
