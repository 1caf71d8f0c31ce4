//! A running proxy. Only ports, addresses, the paths of certificates and what stands around a block are put into its
//! configuration; the rest stays as it is.

use std::fmt;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::ports::free_ports;
use super::site::{Program, Site};
use super::support::http::PATIENCE;
use super::support::{s, until};

/// What the proxy says about itself.
const LOG: &str = "proxy.log";
/// How often other ports are tried when somebody else has taken them.
const ATTEMPTS: usize = 3;

/// How clients reach the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// By HTTP. What the configuration says of certificates is left out, and so is its name.
    Plain,
    /// By TLS, with a certificate of its own making.
    Tls,
}

/// A proxy that runs. Dropping it ends it.
pub struct Proxy {
    program: Program,
    path: PathBuf,
    directory: tempfile::TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.program.name(), self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where the program is; says so where it is not. Debian puts servers where ordinary users do not look.
pub fn installed(program: Program) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(program.name()))
        .find(|path| path.is_file());
    if found.is_none() {
        let name = program.name();
        eprintln!("skipped: {name} is not installed (apt-get install {name})");
    }
    found
}

impl Proxy {
    /// Starts a proxy in front of the server at `upstream`; `None` where it is not installed.
    pub fn start(site: &Site, upstream: SocketAddr, over: Over) -> Option<Self> {
        let path = installed(site.program)?;
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let ports = free_ports(2);
            let mut proxy = Self {
                program: site.program,
                path: path.clone(),
                directory: tempfile::tempdir().expect("a directory for temporary files"),
                address: SocketAddr::from(([127, 0, 0, 1], ports[0])),
                child: None,
            };
            let text = site.text(upstream);
            match site.program {
                Program::Nginx => proxy.configure_nginx(&text, site.host, over),
                Program::Caddy => proxy.configure_caddy(&text, ports[1], over),
            }
            match proxy.run() {
                Ok(()) => {
                    if over == Over::Tls {
                        proxy.until_it_has_a_certificate(site.host);
                    }
                    return Some(proxy);
                }
                Err(log) => said = log,
            }
        }
        panic!("{:?} does not start: {said}", site.program);
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, as a crash does.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it once more where it was.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "{self:?} runs");
        self.run()
            .unwrap_or_else(|log| panic!("{self:?} does not start again: {log}"));
    }

    /// The certificate that a client must trust to trust this proxy.
    pub fn authority(&self) -> PathBuf {
        let directory = self.directory.path();
        match self.program {
            Program::Nginx => directory.join("certificate.pem"),
            Program::Caddy => directory.join("caddy/pki/authorities/local/root.crt"),
        }
    }

    /// Returns when it listens, or what it said when it ended instead.
    fn run(&mut self) -> Result<(), String> {
        let directory = self.directory.path();
        let log = directory.join(LOG);
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a directory of our own"))
            .spawn()
            .expect("the proxy can be executed");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let deadline = Instant::now() + s(20);
        loop {
            if child.try_wait().expect("a child of ours").is_some() {
                return Err(said());
            }
            if TcpStream::connect(self.address).is_ok() {
                self.child = Some(child);
                return Ok(());
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it does not listen: {}", said()));
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Caddy signs its certificate after it listens, and refuses every handshake until then.
    fn until_it_has_a_certificate(&self, host: &str) {
        let port = self.address.port();
        until("a handshake", PATIENCE, || {
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--insecure",
                "--noproxy",
                "*",
                "--max-time",
                "5",
            ])
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
            .args(["--output", "/dev/null"])
            .arg(format!("https://{host}:{port}/healthz"))
            .stdin(Stdio::null());
            let status = curl.status().expect("curl is installed");
            status.success().then_some(())
        });
    }

    fn command(&self) -> Command {
        let directory = self.directory.path();
        let at = directory.display();
        let mut command = Command::new(&self.path);
        match self.program {
            // Without a master process nothing is left when this one is ended.
            Program::Nginx => command
                .args(["-e", &format!("{at}/{LOG}"), "-p", &at.to_string()])
                .args(["-g", "master_process off;", "-c"])
                .arg(directory.join("nginx.conf")),
            Program::Caddy => command
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(directory.join("Caddyfile"))
                .env("HOME", directory)
                .env("XDG_DATA_HOME", directory)
                .env("XDG_CONFIG_HOME", directory),
        };
        command
    }

    /// The page prints a whole `server` or a `location` of one.
    fn configure_nginx(&self, text: &str, host: &str, over: Over) {
        let directory = self.directory.path();
        let at = directory.display();
        let site = if text.trim_start().starts_with("location") {
            format!(
                "server {{\nlisten 443 ssl;\nserver_name {host};\nssl_certificate /etc/ssl/{host}.pem;\n\
                 ssl_certificate_key /etc/ssl/{host}.key;\n{text}\n}}"
            )
        } else {
            text.to_owned()
        };
        let address = self.address;
        let site = match over {
            Over::Plain => {
                let lines = site
                    .lines()
                    .filter(|line| !line.contains("ssl_certificate"));
                let site = lines.collect::<Vec<_>>().join("\n");
                site.replace("listen 443 ssl", &format!("listen {address}"))
            }
            Over::Tls => {
                make_certificate(host, directory);
                site.replace("listen 443 ssl", &format!("listen {address} ssl"))
                    .replace(
                        &format!("/etc/ssl/{host}.pem"),
                        &format!("{at}/certificate.pem"),
                    )
                    .replace(&format!("/etc/ssl/{host}.key"), &format!("{at}/key.pem"))
            }
        };
        assert!(!site.contains("/etc/ssl/"), "a path was not put in: {site}");
        let whole = format!(
            "daemon off;\npid {at}/pid;\nerror_log {at}/{LOG};\nevents {{}}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n{site}\n}}\n"
        );
        fs::write(directory.join("nginx.conf"), whole).expect("a directory of our own");
    }

    /// The proxy's own settings say where it listens and who signs its certificate.
    fn configure_caddy(&self, text: &str, other_port: u16, over: Over) {
        let port = self.address.port();
        let (settings, text) = match over {
            Over::Plain => {
                let (_name, block) = text.split_once(" {").expect("a site has a name");
                (
                    "auto_https off".to_owned(),
                    format!("http://:{port} {{{block}"),
                )
            }
            Over::Tls => (
                format!(
                    "local_certs\nskip_install_trust\nhttps_port {port}\nhttp_port {other_port}"
                ),
                text.to_owned(),
            ),
        };
        let whole = format!("{{\nadmin off\ndefault_bind 127.0.0.1\n{settings}\n}}\n{text}");
        let file = self.directory.path().join("Caddyfile");
        fs::write(file, whole).expect("a directory of our own");
    }
}

/// `key.pem` and `certificate.pem`, signed by itself.
fn make_certificate(host: &str, directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"])
        .arg(format!("/CN={host}"))
        .arg("-addext")
        .arg(format!("subjectAltName=DNS:{host}"))
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
}
