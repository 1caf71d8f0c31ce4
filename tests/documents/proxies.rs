//! Every configuration of a proxy in the documents, printed on a page or a file of its own, keeps to the rules of
//! `docs/reverse-proxy.md`.

use std::path::PathBuf;

use super::pages::{self, Mark, entries, read, root};

/// A configuration and where it stands.
struct Configuration {
    place: String,
    text: String,
    /// The page shows what it lets through, and does not recommend it.
    is_bare: bool,
}

#[test]
fn no_configuration_keeps_from_the_server_that_a_client_has_gone() {
    for configuration in configurations("reverse_proxy") {
        let Configuration { place, text, .. } = configuration;
        assert!(
            !text.contains("flush_interval"),
            "{place}: with flush_interval the server does not learn that a client has gone"
        );
    }
}

#[test]
fn no_configuration_for_nginx_that_is_recommended_cuts_or_holds_back_a_stream() {
    for configuration in configurations("proxy_pass") {
        let Configuration {
            place,
            text,
            is_bare,
        } = configuration;
        for line in [
            "proxy_buffering off;",
            "proxy_read_timeout 1h;",
            "client_max_body_size 0;",
        ] {
            assert!(is_bare || text.contains(line), "{place}: no '{line}'");
        }
    }
}

/// Those with this word, two at least.
fn configurations(word: &str) -> Vec<Configuration> {
    let mut found = Vec::new();
    for page in pages::for_users() {
        for block in page.blocks {
            found.push(Configuration {
                place: format!("{}:{}", page.name, block.line),
                is_bare: matches!(&block.mark, Some(Mark::Proxy(name)) if name.ends_with(", bare")),
                text: block.text,
            });
        }
    }
    let files = files().into_iter().map(|path| Configuration {
        place: path.display().to_string(),
        text: read(&path),
        is_bare: false,
    });
    found.extend(files);
    found.retain(|configuration| configuration.text.contains(word));
    assert!(found.len() > 1, "no configurations with {word} were found");
    found
}

/// The files below `docs` that are neither pages nor pictures.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_none_or(|ending| ending != "md" && ending != "png")
            {
                found.push(path);
            }
        }
    }
    assert!(
        found.iter().any(|path| path.ends_with("compose/Caddyfile")),
        "the files were not found"
    );
    found
}
