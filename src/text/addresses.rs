//! Addresses in text, shown without the secrets that may be in them.

/// A text whose addresses have neither passwords nor queries: either may be a token. What stands before the host over
/// SSH is the name of an account, which is shown; elsewhere it may be a token as well.
pub fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, address)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let (authority, after) = address.split_at(end_of_authority(address));
        match authority.rsplit_once('@') {
            Some((account, host)) => {
                let (name, password) = account.split_once(':').unwrap_or((account, ""));
                match (before.ends_with("ssh"), password) {
                    (true, "") => shown.push_str(name),
                    (true, _) => {
                        shown.push_str(name);
                        shown.push_str(":…");
                    }
                    (false, _) => shown.push('…'),
                }
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        let ends = |letter: char| letter.is_whitespace() || "#'\"".contains(letter);
        let (address, after) = after.split_at(after.find(ends).unwrap_or(after.len()));
        match address.split_once('?') {
            Some((path, _)) => {
                shown.push_str(path);
                shown.push_str("?…");
            }
            None => shown.push_str(address),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Where the host of an address ends that begins with what stands before its host. A password in which a slash or a
/// question mark is not escaped goes on behind it, to the last `@`.
fn end_of_authority(text: &str) -> usize {
    let ends = |letter: char| letter.is_whitespace() || "'\"".contains(letter);
    let address = &text[..text.find(ends).unwrap_or(text.len())];
    let mark = |from: usize| {
        let mark = address[from..].find(['/', '?', '#']);
        mark.map_or(address.len(), |mark| from + mark)
    };
    let end = mark(0);
    let authority = &address[..end];
    // The colons of an IPv6 address are none before a port.
    let behind = authority.rsplit(']').next().unwrap_or_default();
    let Some((_, port)) = behind.split_once(':').filter(|_| !authority.contains('@')) else {
        return end;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let place = match is_port {
        true => &address[..address.find(['?', '#']).unwrap_or(address.len())],
        false => address,
    };
    place.rfind('@').map_or(end, mark)
}

/// One address that somebody gave, which may be none: without a query, and without all that stands before its last `@`,
/// for a password need not have its marks escaped. What was left out is seen.
pub fn address_without_secrets(address: &str) -> String {
    let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let after = address.find("://").map_or(0, |end| end + "://".len());
    let (scheme, rest) = match address[..after]
        .trim_end_matches("://")
        .chars()
        .all(is_scheme)
    {
        true => address.split_at(after),
        false => ("", address),
    };
    let (account, rest) = match rest.rsplit_once('@') {
        Some((_, host)) => ("…@", host),
        None => ("", rest),
    };
    match rest.split_once(['?', '#']) {
        Some((place, _)) => {
            let mark = &rest[place.len()..=place.len()];
            format!("{scheme}{account}{place}{mark}…")
        }
        None => format!("{scheme}{account}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_that_was_given_nothing_is_shown_that_may_be_a_password() {
        for (address, shown) in [
            (
                "http://ada:secret@h.example:81/mcp",
                "http://…@h.example:81/mcp",
            ),
            ("http://secret@h.example", "http://…@h.example"),
            ("ada:secret@h.example", "…@h.example"),
            ("http://ada:sec/ret@h.example/x", "http://…@h.example/x"),
            ("http://ada:1/secret@h.example", "http://…@h.example"),
            ("http://ada:se?c#ret@h.example", "http://…@h.example"),
            ("http://se/cret@h.example", "http://…@h.example"),
            (
                "http://h.example/mcp?key=secret#more",
                "http://h.example/mcp?…",
            ),
            ("http://h.example/#secret", "http://h.example/#…"),
            ("h.example/?to=http://ada:secret@x", "…@x"),
            ("ftp://ada:secret@[", "ftp://…@["),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://[::1]:8000/tools", "http://[::1]:8000/tools"),
            ("", ""),
        ] {
            assert_eq!(address_without_secrets(address), shown);
        }
    }

    #[test]
    fn neither_passwords_nor_queries_are_shown() {
        for (text, shown) in [
            (
                "x @ https://files.example/x.whl?sig=SECRET#sha256=1, y",
                "x @ https://files.example/x.whl?…#sha256=1, y",
            ),
            (
                "git+https://me:token@git.example/a@v1",
                "git+https://…@git.example/a@v1",
            ),
            (
                "a @ https://t@x.example/a.whl b",
                "a @ https://…@x.example/a.whl b",
            ),
            (
                "see https://x.example and http://u:p@y.example",
                "see https://x.example and http://…@y.example",
            ),
            (
                "https://token@git.example/a?key=secret",
                "https://…@git.example/a?…",
            ),
            ("ssh://git@git.example/a", "ssh://git@git.example/a"),
            (
                "git+ssh://git:secret@git.example/a",
                "git+ssh://git:…@git.example/a",
            ),
            ("a http://u:se/cret@h/x b", "a http://…@h/x b"),
            ("'http://u:1/secret@h/x?y': no", "'http://…@h/x?…': no"),
            ("http://u:se?cr#et@h/x", "http://…@h/x"),
            ("http://[::1]:80/a", "http://[::1]:80/a"),
            ("https://r.example:81/?by=a@b", "https://r.example:81/?…"),
            ("https://r.example/@scope/a", "https://r.example/@scope/a"),
            ("git@git.example:a", "git@git.example:a"),
            ("plain==1", "plain==1"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
