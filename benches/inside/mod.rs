//! A server inside this process, to measure its parts: plugins, services, and requests without a transport.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use smcp::app::App;
use smcp::cli::Flags;
use smcp::config::{self, Purpose};
use smcp::mcp::context::{Context, Services};
use smcp::mcp::direct;
use smcp::mcp::principal::{Principal, Transport};
use smcp::mcp::serve::serve;
use smcp::process::Launcher;
use smcp::shutdown::Shutdown;
use smcp::telemetry::{Counters, Losses};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A server with the plugins of a directory, of which all have answered.
pub struct Inside {
    services: Arc<Services>,
    /// Ends what it has started when it is dropped.
    _app: App,
}

impl Inside {
    /// Starts it; `smcp` is the program whose other role supervises.
    pub async fn start(smcp: &Path, plugins: &Path) -> Self {
        let path = ("PATH".into(), std::env::var_os("PATH").unwrap_or_default());
        let settings = [
            ("MCP_PORT", OsString::from("0")),
            ("MCP_DISABLE_FILE_LOG", "1".into()),
            ("MCP_CACHE", "off".into()),
            ("MCP_WARM", "off".into()),
            ("MCP_PLUGINS_DIR", plugins.into()),
        ];
        let settings = settings.map(|(name, value)| (OsString::from(name), value));
        let environment = settings.into_iter().chain([path]).collect();
        let config = config::read(Purpose::Http, &Flags::default(), environment, Vec::new())
            .expect("the settings are right");
        let launcher = Launcher::with_supervisor(smcp).expect("programs can be run");
        let counters = Counters::new(Losses::default());
        let app = App::start(config, launcher, counters, Shutdown::new()).await;
        let app = app.expect("a free port can be bound");
        let services = Arc::clone(app.services());
        services.catalog.complete().await;
        Self {
            services,
            _app: app,
        }
    }

    /// What a request without a session is served with.
    pub fn context(&self) -> Context {
        direct::context(
            &self.services,
            Transport::Direct,
            Principal::default(),
            self.services.budget.open(None),
            CancellationToken::new(),
        )
    }

    /// Reads a message, serves it, and gives the answer's size.
    pub async fn answer(&self, message: &[u8]) -> usize {
        let message = Bytes::copy_from_slice(message);
        let request = direct::read(&self.services, message).await;
        let request = request
            .expect("it is a message")
            .expect("it wants an answer");
        let reply = serve(&self.context(), &request).await;
        reply.answer.expect("nobody cancels it").len()
    }
}

/// One request as clients write it.
pub fn message(method: &str, params: serde_json::Value) -> Vec<u8> {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    message.to_string().into_bytes()
}

/// A directory with plugins of a hundred commands each, `count` in all, which only describe themselves.
pub fn many_tools(count: usize) -> TempDir {
    let folder = TempDir::new().expect("a temporary directory");
    let parameters = json!([
        {"name": "path", "type": "string", "description": "which file", "required": true},
        {"name": "limit", "type": "integer", "description": "how many lines at most", "default": 100},
    ]);
    let each = count.min(100);
    let commands: Vec<_> = (0..each)
        .map(|n| json!({"name": format!("command_{n}"), "description": "Counts", "parameters": parameters}))
        .collect();
    let described = json!({"contract_version": "1.1", "commands": commands}).to_string();
    for n in 0..count / each {
        let plugin = folder.path().join(format!("many_{n}"));
        std::fs::create_dir(&plugin).expect("a directory");
        std::fs::write(plugin.join("cli.py"), format!("print({described:?})\n")).expect("a file");
    }
    folder
}
