//! Addresses in text, shown without the secrets that may be in them.

/// A text whose addresses have neither passwords nor queries: either may be a token. What stands before the host over
/// SSH is the name of an account, which is shown; elsewhere it may be a token as well.
pub fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, address)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = address.find(|letter: char| letter.is_whitespace() || "/?#'\"".contains(letter));
        let (authority, after) = address.split_at(end.unwrap_or(address.len()));
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

#[cfg(test)]
mod tests {
    use super::*;

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
            ("git@git.example:a", "git@git.example:a"),
            ("plain==1", "plain==1"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
