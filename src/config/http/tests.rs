//! What is listened on, and who may call.

use super::*;
use crate::config::tests::read_with;

#[test]
fn beyond_loopback_needs_a_key() {
    for host in ["0.0.0.0", "::", "192.0.2.7", "[::]"] {
        let flags = || Flags {
            host: Some(host.to_owned()),
            ..Flags::default()
        };
        let refusal = read_with(&[], flags()).unwrap_err().to_string();
        assert!(
            refusal.contains("refusing to bind") && refusal.contains("MCP_API_KEY"),
            "{refusal}"
        );
        assert!(
            read_with(&[("MCP_API_KEY", "k")], flags()).is_ok(),
            "{host}"
        );
        assert!(
            read_with(&[("MCP_AUTH_DISABLED", "1")], flags()).is_ok(),
            "{host}"
        );
    }
    let external = || Flags {
        allow_external: true,
        ..Flags::default()
    };
    assert!(read_with(&[("MCP_API_KEY", "")], external()).is_err());
    for host in ["127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"] {
        let flags = Flags {
            host: Some(host.to_owned()),
            ..Flags::default()
        };
        assert!(read_with(&[], flags).is_ok(), "{host}");
    }
}

#[test]
fn what_may_wait_for_clients_has_room_for_an_answer() {
    for (given, allowed) in [("1", false), ("1048575", false), ("1048576", true)] {
        let read = read_with(&[("MCP_MAX_WAITING_BYTES", given)], Flags::default());
        let waiting = read
            .map(|config| config.max_waiting_bytes)
            .map_err(|faults| faults.to_string());
        match waiting {
            Ok(bytes) => assert_eq!((allowed, bytes), (true, 1 << 20), "{given}"),
            Err(faults) => {
                let what = format!(
                    "MCP_MAX_WAITING_BYTES: '{given}' is not allowed; use a whole number from 1048576 to "
                );
                assert!(!allowed && faults.contains(&what), "{faults}");
            }
        }
    }
}

#[test]
fn without_settings_it_is_port_8000_of_this_machine() {
    let config = read_with(&[], Flags::default()).unwrap();
    assert_eq!(config.addresses, [SocketAddr::from(([127, 0, 0, 1], 8000))]);
}

#[test]
fn keys_come_plain_or_as_digests_and_never_show() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let config = read_with(
        &[
            ("MCP_API_KEYS", &format!("one, two,{digest}")),
            ("MCP_API_KEY", "three"),
        ],
        Flags::default(),
    )
    .unwrap();
    assert_eq!(config.http.auth.keys.len(), 4);
    let faults = read_with(&[("MCP_API_KEYS", "good,sha256:12")], Flags::default())
        .unwrap_err()
        .to_string();
    assert!(faults.contains("MCP_API_KEYS: key 2") && faults.lines().count() == 1);
    assert!(!faults.contains(":12"), "{faults}");
}

#[test]
fn a_key_that_no_client_can_send_is_warned_about_without_being_shown() {
    for (name, value) in [
        ("MCP_API_KEY", "two\twords-0123456789"),
        ("MCP_API_KEYS", "0123456789abcdef, clef-é-0123456789"),
    ] {
        let external = Flags {
            allow_external: true,
            ..Flags::default()
        };
        let config = read_with(&[(name, value)], external).unwrap();
        let told = config.notices.join("\n");
        assert!(told.contains("no client can send"), "{told}");
        assert!(!told.contains("words") && !told.contains("clef"), "{told}");
    }
}

#[test]
fn the_shell_has_the_key_only_where_the_variable_holds_it_and_not_its_digest() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (name, value, expected) in [
        ("MCP_API_KEY", "three", true),
        ("MCP_API_KEY", digest.as_str(), false),
        ("MCP_API_KEYS", "one", false),
    ] {
        let config = read_with(&[(name, value)], Flags::default()).unwrap();
        assert_eq!(config.key_in_shell, expected, "{name}");
    }
}

#[test]
fn a_key_with_commas_and_spaces_in_it_is_one_key() {
    let key = "abc,def ghi, jkl";
    let expected = crate::mcp::principal::KeyId::of(key.as_bytes());
    // White space around it is no part of it: HTTP drops it from headers, so that no client could send it.
    for given in [key.to_owned(), format!(" {key}\n")] {
        let config = read_with(&[("MCP_API_KEY", &given)], Flags::default()).unwrap();
        let keys = config.http.auth.keys;
        assert!(keys.len() == 1 && keys.accept(&expected), "{keys:?}");
    }
}

#[test]
fn a_key_that_can_be_guessed_is_warned_about_without_being_shown() {
    let noticed = |name, value| {
        let config = read_with(&[(name, value)], Flags::default()).unwrap();
        config.notices.join("\n")
    };
    assert!(noticed("MCP_API_KEY", "z").contains("MCP_API_KEY: the key has 1 character "));
    let notices = noticed("MCP_API_KEYS", "0123456789abcdef,q7");
    assert!(
        notices.contains("MCP_API_KEYS: key 2 has 2 characters"),
        "{notices}"
    );
    assert!(
        !notices.contains("q7") && !notices.contains("key 1"),
        "{notices}"
    );
    assert!(!noticed("MCP_API_KEY", "0123456789abcdef").contains("guessed"));
}

#[test]
fn only_a_clear_yes_lets_local_clients_go_without_the_key() {
    for (value, exempt, told) in [
        (None, true, ""),
        (Some("1"), true, ""),
        (Some(" Yes "), true, ""),
        (Some("on"), true, ""),
        (Some("0"), false, ""),
        (Some("no"), false, ""),
        (Some(""), false, "set but empty"),
        (Some(" \t "), false, "set but empty"),
        (Some("perhaps"), false, "counts as no"),
        (Some("2"), false, "counts as no"),
    ] {
        let mut variables = vec![("MCP_API_KEY", "0123456789abcdef")];
        variables.extend(value.map(|value| ("MCP_AUTH_ALLOW_LOOPBACK", value)));
        let config = read_with(&variables, Flags::default()).unwrap();
        assert_eq!(config.http.auth.loopback_exempt, exempt, "{value:?}");
        let lines = [config.notices, config.mistakes].concat().join("\n");
        assert_eq!(
            lines.contains("MCP_AUTH_ALLOW_LOOPBACK"),
            !told.is_empty(),
            "{value:?}: {lines}"
        );
        assert!(lines.contains(told), "{value:?}: {lines}");
    }
}

#[test]
fn to_listen_on_every_address_is_the_last_word() {
    let external = |host: Option<&str>| Flags {
        allow_external: true,
        host: host.map(str::to_owned),
        ..Flags::default()
    };
    const KEY: (&str, &str) = ("MCP_API_KEY", "k");
    for (variables, flags, ip, warned) in [
        (vec![KEY], external(None), "0.0.0.0", false),
        (
            vec![KEY, ("MCP_HOST", "127.0.0.1")],
            external(None),
            "0.0.0.0",
            true,
        ),
        (vec![KEY], external(Some("127.0.0.1")), "0.0.0.0", true),
        (
            vec![KEY, ("MCP_HOST", "localhost")],
            external(Some("0.0.0.0")),
            "0.0.0.0",
            false,
        ),
        (vec![KEY], external(Some("[::]")), "::", false),
    ] {
        let config = read_with(&variables, flags).unwrap();
        assert_eq!(config.addresses[0].ip().to_string(), ip, "{variables:?}");
        assert_eq!(!config.mistakes.is_empty(), warned, "{:?}", config.mistakes);
    }
    let keyless = read_with(&[("MCP_HOST", "127.0.0.1")], external(None));
    assert!(keyless.is_err(), "and it needs a key");
}

#[test]
fn a_name_stands_for_all_of_its_addresses() {
    let flags = Flags {
        host: Some("localhost".to_owned()),
        ..Flags::default()
    };
    let config = read_with(&[], flags).unwrap();
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 8000)).unwrap();
    let resolved: std::collections::HashSet<_> = resolved.collect();
    assert_eq!(
        config
            .addresses
            .iter()
            .copied()
            .collect::<std::collections::HashSet<_>>(),
        resolved
    );
    assert!(config.addresses.is_sorted_by_key(SocketAddr::is_ipv6));
}

#[test]
fn to_ask_for_a_key_and_to_ask_nobody_is_a_contradiction() {
    let flags = Flags {
        require_auth: true,
        ..Flags::default()
    };
    let variables = [("MCP_AUTH_DISABLED", "1"), ("MCP_API_KEY", "k")];
    let refusal = read_with(&variables, flags).unwrap_err().to_string();
    assert!(
        refusal.contains("--require-auth and MCP_AUTH_DISABLED"),
        "{refusal}"
    );
}

#[test]
fn what_was_meant_to_close_the_server_and_does_not_is_told() {
    for (name, value) in [
        ("MCP_API_KEY", ""),
        ("MCP_API_KEY", "  "),
        ("MCP_API_KEYS", ","),
        ("MCP_REQUIRE_AUTH", "1"),
        ("MCP_ALLOW_EXTERNAL", "1"),
    ] {
        let config = read_with(&[(name, value)], Flags::default()).expect("no fault");
        let told = config.mistakes.iter().any(|line| line.starts_with(name));
        assert!(told, "{name}={value:?}: {:?}", config.mistakes);
    }
    let keyed = [
        ("MCP_API_KEYS", "one-that-is-long-enough"),
        ("MCP_API_KEY", ""),
    ];
    let config = read_with(&keyed, Flags::default()).expect("no fault");
    assert_eq!(config.mistakes, Vec::<String>::new());
}

#[test]
fn a_digest_in_capitals_is_no_key_of_its_own() {
    let digits = "AB".repeat(32);
    let keys = ["sha256", "SHA256", "Sha256"].map(|start| {
        let given = format!("{start}:{digits}");
        let config = read_with(&[("MCP_API_KEY", given.as_str())], Flags::default());
        config.expect("it is a digest").http.auth.keys
    });
    let expected = crate::mcp::principal::KeyId::from_digest([0xab; 32]);
    for keys in keys {
        assert!(keys.len() == 1 && keys.accept(&expected), "{keys:?}");
    }
    assert!(read_with(&[("MCP_API_KEY", "SHA256:12")], Flags::default()).is_err());
}

#[test]
fn only_one_pair_of_brackets_is_that_of_an_address() {
    for host in ["[[::1]]", "[::1", "::1]"] {
        let flags = Flags {
            host: Some(host.to_owned()),
            ..Flags::default()
        };
        assert!(read_with(&[], flags).is_err(), "{host}");
    }
}

#[test]
fn behind_a_proxy_nobody_is_exempt() {
    for variable in [
        ("MCP_ROOT_PATH", "/smcp"),
        ("MCP_ROOT_PATH", "/"),
        ("MCP_ALLOWED_HOSTS", ","),
        ("MCP_ALLOWED_HOSTS", "mcp.example.org"),
    ] {
        let config = read_with(&[("MCP_API_KEY", "k"), variable], Flags::default()).unwrap();
        assert!(!config.http.auth.loopback_exempt, "{variable:?}");
    }
    let config = read_with(&[("MCP_API_KEY", "k")], Flags::default()).unwrap();
    assert!(config.http.auth.loopback_exempt);
    assert!(
        config
            .notices
            .iter()
            .any(|notice| notice.contains("--require-auth"))
    );
}
