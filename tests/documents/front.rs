//! The configurations of reverse proxies that `docs/reverse-proxy.md` prints, each run by its proxy in front of a
//! server. Only ports, addresses and the paths of certificates are put in; the rest stays as it is printed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::pages::{Mark, named, root};
use super::ports::free_ports;
use super::support::server::{Server, Setup};
use super::support::{s, until};

/// The server's key.
pub const KEY: &str = "a-key-for-the-tests-of-the-proxies";

const PAGE: &str = "docs/reverse-proxy.md";
/// What the proxy says about itself.
const LOG: &str = "proxy.log";

/// Who tells the server below which path it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// The proxy, by a header; configurations without a path are tried as well.
    FromTheProxy,
    /// `MCP_ROOT_PATH`; the header is taken out of the configurations.
    OfTheServer,
}

/// A proxy in front of a server. Dropping it ends both.
pub struct Front {
    program: String,
    /// The path below which the server is published.
    pub prefix: String,
    host: String,
    address: SocketAddr,
    client: Client,
    proxy: Child,
    _server: Server,
    directory: tempfile::TempDir,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} at '{}/'", self.program, self.prefix)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Front {
    /// A request for this path and query of the proxy.
    pub fn at(&self, method: Method, target: &str) -> RequestBuilder {
        let (host, port) = (&self.host, self.address.port());
        self.client
            .request(method, format!("https://{host}:{port}{target}"))
    }

    /// A GET request for a route of the server.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.at(Method::GET, &format!("{}{path}", self.prefix))
    }

    /// A POST request of JSON for a route of the server.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.at(Method::POST, &format!("{}{path}", self.prefix))
            .json(body)
    }
}

/// Each configuration of the page whose proxy is installed, running.
pub fn fronts(prefix: Prefix) -> Vec<Front> {
    let page = named(PAGE);
    let configurations: Vec<(&str, &str)> = page
        .blocks
        .iter()
        .filter_map(|block| match &block.mark {
            Some(Mark::Proxy(program)) => Some((program.as_str(), block.text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        configurations.len(),
        4,
        "two proxies, each at the root and below a path"
    );
    let mut running = Vec::new();
    for (program, text) in configurations {
        let Some(path) = installed(program) else {
            eprintln!("skipped: {program} is not installed (apt-get install {program})");
            continue;
        };
        if prefix == Prefix::FromTheProxy || text.contains("/tools/") {
            running.push(start(&path, program, text, prefix));
        }
    }
    running
}

fn start(path: &Path, program: &str, text: &str, whose: Prefix) -> Front {
    let mut setup = Setup::new()
        .plugins(root().join("plugins"))
        .argument("--require-auth")
        .variable("MCP_API_KEY", KEY);
    let mut text = text.to_owned();
    if whose == Prefix::OfTheServer {
        setup = setup.variable("MCP_ROOT_PATH", "/tools");
        let kept = text
            .lines()
            .filter(|line| !line.contains("X-Forwarded-Prefix"));
        text = kept.collect::<Vec<_>>().join("\n");
    }
    let server = Server::start(&setup);
    server.ready();
    assert!(text.contains("127.0.0.1:8000"), "{text}");
    let text = text.replace("127.0.0.1:8000", &server.address().to_string());
    let below = text.contains("/tools/");
    let host = if below {
        "example.org"
    } else {
        "tools.example.org"
    };
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let ports = free_ports(2);
    let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
    let proxy = match program {
        "nginx" => nginx(path, &text, host, address, directory.path()),
        "caddy" => caddy(path, &text, &ports, directory.path()),
        _ => panic!("{program} is no proxy that is known here"),
    };
    // The second front of a process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .resolve(host, address)
        .build()
        .expect("a client");
    let mut front = Front {
        program: program.to_owned(),
        prefix: if below { "/tools" } else { "" }.to_owned(),
        host: host.to_owned(),
        address,
        client,
        proxy,
        _server: server,
        directory,
    };
    until(&format!("{} listens", front.program), s(20), || {
        let log = || fs::read_to_string(front.directory.path().join(LOG));
        let over = front.proxy.try_wait().expect("a child of ours");
        assert!(over.is_none(), "{} ended: {:?}", front.program, log());
        std::net::TcpStream::connect(address).ok()
    });
    front
}

/// Debian puts servers where ordinary users do not look.
fn installed(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The page's `server` or, below a path, the `location` of one.
fn nginx(path: &Path, text: &str, host: &str, address: SocketAddr, directory: &Path) -> Child {
    let at = directory.display();
    certificate(host, directory);
    let site = if text.trim_start().starts_with("location") {
        format!(
            "server {{\nlisten 443 ssl;\nserver_name {host};\nssl_certificate /etc/ssl/{host}.pem;\n\
             ssl_certificate_key /etc/ssl/{host}.key;\nclient_max_body_size 4m;\n{text}\n}}"
        )
    } else {
        text.to_owned()
    };
    let site = site
        .replace("listen 443 ssl", &format!("listen {address} ssl"))
        .replace(
            &format!("/etc/ssl/{host}.pem"),
            &format!("{at}/certificate.pem"),
        )
        .replace(&format!("/etc/ssl/{host}.key"), &format!("{at}/key.pem"));
    assert!(!site.contains("/etc/ssl/"), "a path was not put in: {site}");
    let whole = format!(
        "daemon off;\npid {at}/pid;\nerror_log {at}/{LOG};\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n{site}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, whole).expect("a new file");
    // Without a master process nothing is left when this one is ended.
    spawned(
        Command::new(path)
            .args(["-e", &format!("{at}/{LOG}"), "-p", &at.to_string()])
            .args(["-g", "master_process off;", "-c"])
            .arg(&file),
        directory,
    )
}

/// `key.pem` and `certificate.pem`, signed by itself.
fn certificate(host: &str, directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"])
        .arg(format!("/CN={host}"))
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
}

/// The page's site as it is: the proxy's own settings say where it listens and who signs its certificate.
fn caddy(path: &Path, text: &str, ports: &[u16], directory: &Path) -> Child {
    let settings = format!(
        "{{\nadmin off\nlocal_certs\nskip_install_trust\ndefault_bind 127.0.0.1\nhttps_port {}\nhttp_port {}\n}}\n",
        ports[0], ports[1]
    );
    let file = directory.join("Caddyfile");
    fs::write(&file, format!("{settings}{text}")).expect("a new file");
    spawned(
        Command::new(path)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&file)
            .env("HOME", directory)
            .env("XDG_DATA_HOME", directory)
            .env("XDG_CONFIG_HOME", directory),
        directory,
    )
}

fn spawned(command: &mut Command, directory: &Path) -> Child {
    let log = fs::File::create(directory.join(LOG)).expect("a new file");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the proxy can be started")
}
