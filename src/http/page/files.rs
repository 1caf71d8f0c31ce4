//! The files of the page for people, which travel inside the binary. Knows no request but what it asks for.
//!
//! They are the same for everybody and hold nothing secret: what the page shows, it asks for itself, with a key.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::http::reply;

/// Where the page is.
pub const PAGE: &str = "/ui";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files, by their path without a final slash.
pub const FILES: [(&str, &str, &str); 12] = [
    (
        PAGE,
        "text/html; charset=utf-8",
        include_str!("files/index.html"),
    ),
    (
        "/ui/page.css",
        "text/css; charset=utf-8",
        include_str!("files/page.css"),
    ),
    (
        "/ui/icon.svg",
        "image/svg+xml",
        include_str!("files/icon.svg"),
    ),
    ("/ui/page.js", SCRIPT, include_str!("files/page.js")),
    ("/ui/calls.js", SCRIPT, include_str!("files/calls.js")),
    ("/ui/charts.js", SCRIPT, include_str!("files/charts.js")),
    ("/ui/dom.js", SCRIPT, include_str!("files/dom.js")),
    ("/ui/form.js", SCRIPT, include_str!("files/form.js")),
    ("/ui/json.js", SCRIPT, include_str!("files/json.js")),
    ("/ui/mcp.js", SCRIPT, include_str!("files/mcp.js")),
    ("/ui/result.js", SCRIPT, include_str!("files/result.js")),
    ("/ui/tools.js", SCRIPT, include_str!("files/tools.js")),
];

/// What the page may load and who may show it: only what this server serves, and nobody. What plugins say cannot
/// become a script or a request: <https://www.w3.org/TR/CSP3/>.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data: blob:; media-src data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
    require-trusted-types-for 'script'";

/// Headers of everything below [`PAGE`].
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Whether a request for `path`, without a final slash, is for a file.
pub fn is_file(method: &Method, path: &str) -> bool {
    let is_read = method == Method::GET || method == Method::HEAD;
    is_read && FILES.iter().any(|(known, ..)| *known == path)
}

/// The file at `path`, or 304 where the browser has it.
pub fn file(path: &str, headers: &HeaderMap) -> Response {
    let known = FILES.iter().find(|(known, ..)| *known == path);
    let (_, content_type, text) = known.expect("its routes are made of the same list");
    let digest = Sha256::digest(text.as_bytes());
    let tag = digest[..8].iter().map(|byte| format!("{byte:02x}"));
    let tag = format!("\"{}\"", tag.collect::<String>());
    // A proxy that compresses makes the tag a weak one.
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = match is_known {
        true => reply::empty(StatusCode::NOT_MODIFIED),
        false => reply::typed(StatusCode::OK, content_type, Body::from(*text)),
    };
    let headers = response.headers_mut();
    let tag = HeaderValue::from_str(&tag).expect("hex digits in quotation marks");
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    guarded(response)
}

/// The same with the headers of everything below [`PAGE`]. What is not a file is not kept by the browser.
pub fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_loads_nothing_from_elsewhere() {
        let size: usize = FILES.iter().map(|(.., text)| text.len()).sum();
        assert!(size < 100 << 10, "{size} bytes");
        for (path, _, text) in FILES {
            let elsewhere = [
                "src=\"http",
                "href=\"http",
                "url(",
                "@import",
                "from \"http",
                "//cdn",
            ];
            for sign in elsewhere {
                assert!(!text.contains(sign), "{path} has {sign}");
            }
        }
    }

    #[test]
    fn the_scripts_never_read_a_text_as_html_or_as_code() {
        for (path, _, text) in FILES {
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "DOMParser",
                "createContextualFragment",
                "srcdoc",
                "localStorage",
                "document.cookie",
            ] {
                assert!(!text.contains(sink), "{path} has {sink}");
            }
        }
    }

    #[test]
    fn a_browser_that_has_a_file_is_told_so() {
        let first = file(PAGE, &HeaderMap::new());
        let mut headers = HeaderMap::new();
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        headers.insert(
            header::IF_NONE_MATCH,
            format!("\"other\", W/{tag}").parse().unwrap(),
        );
        let again = file(PAGE, &headers);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(file("/ui/page.css", &headers).status(), StatusCode::OK);
    }
}
