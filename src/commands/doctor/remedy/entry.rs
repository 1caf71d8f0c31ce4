//! What mends the entrance: who answers at the address, and who may call there.

use super::super::fault::Fault;
use super::super::line::{Line, caddy, nginx, smcp, without};
use super::paths::passing;

/// Who answers at all.
pub(super) fn of_address(fault: Fault, subject: &str, prefix: &str) -> (String, Vec<Line>) {
    match fault {
        Fault::Redirect => (
            "clients lose their message or their key on the way to another address; give them the address that it leads to".to_owned(),
            vec![without(nginx("return 301")), without(caddy("redir"))],
        ),
        Fault::Unencrypted => (
            "let the proxy speak TLS, which Caddy does for a site with a name, and give clients an address with https".to_owned(),
            vec![nginx("listen 443 ssl;"), without(caddy("auto_https off"))],
        ),
        Fault::Tls if subject == "http" => (
            "give clients the address with https:// in the place of http://".to_owned(),
            Vec::new(),
        ),
        Fault::Tls if subject == "https" => (
            "this port speaks no TLS: use the port that does, or http:// where nobody is on the way; or let the proxy speak TLS, which Caddy does for a site with a name".to_owned(),
            vec![nginx("listen 443 ssl;"), without(caddy("auto_https off"))],
        ),
        Fault::Tls if subject == "name" => (
            "use a certificate for the name in the address, or the name in the certificate".to_owned(),
            certificate(),
        ),
        Fault::Tls if subject == "client" => (
            "ask clients for no certificate of their own: they show a key".to_owned(),
            vec![
                without(nginx("ssl_verify_client")),
                without(caddy("client_auth")),
            ],
        ),
        Fault::Tls if subject == "version" => (
            "let the proxy speak TLS 1.2 or 1.3, as clients of today do".to_owned(),
            vec![
                nginx("ssl_protocols TLSv1.2 TLSv1.3;"),
                without(caddy("protocols")),
            ],
        ),
        Fault::Tls if subject == "time" => (
            "renew the certificate, and load it; or set the clock of this machine".to_owned(),
            certificate(),
        ),
        Fault::Tls if subject == "issuer" => (
            "use a certificate of an authority that clients know, with the whole chain in the file; clients of a private authority are told its certificate by SSL_CERT_FILE".to_owned(),
            vec![
                nginx("ssl_certificate     /etc/ssl/tools.example.org.pem;"),
                without(caddy("tls internal")),
            ],
        ),
        Fault::NotHttp => (
            "look whether the port is right; many clients speak HTTP/1.1 alone, so a proxy must speak it beside HTTP/2".to_owned(),
            vec![without(caddy("protocols"))],
        ),
        Fault::Tls if subject == "protocol" => (
            "let the proxy speak HTTP/1.1 beside HTTP/2: many clients speak it alone".to_owned(),
            vec![without(caddy("protocols"))],
        ),
        Fault::Tls => (
            "look whether the proxy has a certificate for the name in the address".to_owned(),
            certificate(),
        ),
        Fault::NotMcp => (
            "look whether the address is right, and let the proxy pass its path on to the server".to_owned(),
            passing(prefix),
        ),
        _ => (
            "look whether the address is right, the server and the proxy run, and no firewall is between".to_owned(),
            Vec::new(),
        ),
    }
}

/// The lines that name a certificate. Caddy gets one by itself where no line does.
fn certificate() -> Vec<Line> {
    vec![
        nginx("ssl_certificate     /etc/ssl/tools.example.org.pem;"),
        caddy("tls /etc/ssl/tools.example.org.pem /etc/ssl/tools.example.org.key"),
    ]
}

/// Who may call.
pub(super) fn of_access(fault: Fault, subject: &str) -> (String, Vec<Line>) {
    match fault {
        Fault::KeyMissing => (
            "set MCP_API_KEY to one of the server's keys, or MCP_API_KEY_FILE to a file that has it".to_owned(),
            Vec::new(),
        ),
        Fault::KeyWrong => (
            "compare it with the server's: its log has the fingerprint of each key that it takes or refuses. Or the proxy replaces the header with one of its own".to_owned(),
            vec![nginx("proxy_set_header Authorization $http_authorization;")],
        ),
        Fault::ProxyAuth => (
            "the key of the server and a password of the proxy travel in the same header; leave the key to decide".to_owned(),
            vec![
                nginx("auth_basic off;"),
                without(nginx("auth_request")),
                // The second is its name up to Caddy 2.7.
                without(caddy("basic_auth")),
                without(caddy("basicauth")),
                without(caddy("forward_auth")),
            ],
        ),
        Fault::Open => (
            "give the server a key, and let it ask everybody for it".to_owned(),
            vec![smcp("MCP_API_KEY=$KEY smcp --require-auth")],
        ),
        Fault::HostRefused => (
            "list the name for the server, and give it a key; with a key every name is answered".to_owned(),
            vec![
                smcp(format!("MCP_ALLOWED_HOSTS={subject}")),
                nginx("proxy_set_header Host $host;"),
            ],
        ),
        Fault::OriginRefused => (
            "list the origin for the server, and let the proxy pass on the name that was asked for".to_owned(),
            vec![
                smcp(format!("MCP_ALLOWED_ORIGINS={subject}")),
                nginx("proxy_set_header Host $host;"),
            ],
        ),
        Fault::Limited => (
            "let the proxy take more requests of one client, whose first messages come within a moment, and whose streams stay open; or take out its page for times of maintenance".to_owned(),
            vec![
                without(nginx("limit_req")),
                without(nginx("limit_conn")),
                without(nginx("return 503")),
                without(caddy("rate_limit")),
            ],
        ),
        Fault::Busy => (
            "ask again when it has less to do; of smcp, the tool health and the log say what it does, and which of its limits is reached".to_owned(),
            Vec::new(),
        ),
        _ => (
            "look for what refuses it in the proxy's configuration".to_owned(),
            vec![without(nginx("deny")), without(caddy("respond"))],
        ),
    }
}
