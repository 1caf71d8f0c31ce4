//! Configurations of proxies: as `docs/reverse-proxy.md` prints them, or with what a test changes in them.

use std::net::SocketAddr;

use super::pages::{Mark, parse, read, root};

const PAGE: &str = "docs/reverse-proxy.md";
/// Where the page says that the server is.
const UPSTREAM: &str = "127.0.0.1:8000";

/// A reverse proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Nginx,
    Caddy,
}

/// All that are tried.
pub const PROGRAMS: [Program; 2] = [Program::Nginx, Program::Caddy];

impl Program {
    /// What its file is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }
}

/// One configuration.
#[derive(Debug, Clone)]
pub struct Site {
    pub program: Program,
    /// The name that it is for.
    pub host: &'static str,
    /// The path below which it publishes the server.
    pub prefix: &'static str,
    text: String,
}

impl Site {
    /// The four configurations that the page recommends: two proxies, each at the root and below a path.
    pub fn printed() -> Vec<Self> {
        let found = of_the_page(|name| (!name.contains(',')).then_some(name));
        assert_eq!(
            found.len(),
            4,
            "two proxies, each at the root and below a path"
        );
        found
    }

    /// The one that the page recommends for a name of its own.
    pub fn at_the_root(program: Program) -> Self {
        let found = Self::printed().into_iter();
        let mut found = found.filter(|site| site.program == program && site.prefix.is_empty());
        found.next().expect("the page has one")
    }

    /// The one that the page recommends for a path.
    pub fn below_a_path(program: Program) -> Self {
        let found = Self::printed().into_iter();
        let mut found = found.filter(|site| site.program == program && !site.prefix.is_empty());
        found.next().expect("the page has one")
    }

    /// The one line that passes requests on, and nothing else. For Caddy the page recommends just that.
    pub fn bare(program: Program) -> Self {
        if program == Program::Caddy {
            return Self::at_the_root(program);
        }
        let found = of_the_page(|name| name.strip_suffix(", bare"));
        let mut found = found.into_iter().filter(|site| site.program == program);
        found.next().expect("the page has one")
    }

    /// With other words in the place of these.
    #[track_caller]
    pub fn with(mut self, words: &str, others: &str) -> Self {
        assert!(self.text.contains(words), "no {words:?} in {}", self.text);
        self.text = self.text.replace(words, others);
        self
    }

    /// Without the lines that have these words.
    #[track_caller]
    pub fn without(mut self, words: &str) -> Self {
        assert!(self.text.contains(words), "no {words:?} in {}", self.text);
        let kept = self.text.lines().filter(|line| !line.contains(words));
        self.text = kept.collect::<Vec<_>>().join("\n");
        self
    }

    /// The recommended configuration with a server that may be silent for so long.
    #[track_caller]
    pub fn read_timeout(self, time: &str) -> Self {
        match self.program {
            Program::Nginx => self.with(
                "proxy_read_timeout 1h",
                &format!("proxy_read_timeout {time}"),
            ),
            Program::Caddy => {
                let line = "reverse_proxy 127.0.0.1:8000";
                let block = format!("{line} {{\ntransport http {{\nread_timeout {time}\n}}\n}}");
                self.with(line, &block)
            }
        }
    }

    /// Its text for a server at this address.
    pub fn text(&self, upstream: SocketAddr) -> String {
        assert!(self.text.contains(UPSTREAM), "{}", self.text);
        self.text.replace(UPSTREAM, &upstream.to_string())
    }
}

/// The page's configurations whose mark is for a proxy that `program` names.
fn of_the_page(program: impl Fn(&str) -> Option<&str>) -> Vec<Site> {
    let page = parse(PAGE, &read(&root().join(PAGE)));
    let blocks = page.blocks.iter().filter_map(|block| {
        let Some(Mark::Proxy(name)) = &block.mark else {
            return None;
        };
        let name = program(name)?;
        let known = PROGRAMS.into_iter().find(|known| known.name() == name);
        let below = block.text.contains("/tools/");
        Some(Site {
            program: known.unwrap_or_else(|| panic!("{name} is no proxy that is known here")),
            host: if below {
                "example.org"
            } else {
                "tools.example.org"
            },
            prefix: if below { "/tools" } else { "" },
            text: block.text.clone(),
        })
    });
    blocks.collect()
}
