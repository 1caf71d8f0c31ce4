//! The audit line: who asked for what, and never a value.

use super::*;

#[test]
fn the_audit_line_tells_who_asked_for_what_and_how_it_ended() {
    let arguments: Map<String, Value> = serde_json::from_value(json!({"a": 2, "b": 3})).unwrap();
    let text = file_of(Settings::default(), || {
        AuditLine {
            method: "tools/call",
            transport: "sse",
            session: Some("0123456789abcdef0123456789abcdef"),
            agent: Some("agent-1"),
            key: Some("sha256:9f86d081"),
            outcome: OK,
            duration: Duration::from_micros(12_345),
            bytes_in: 120,
            bytes_out: 80,
            tool: Some("demo_math__add"),
            argument_names: None,
        }
        .arguments(arguments.keys().map(String::as_str))
        .emit();
    });
    assert_eq!(
        after_time(&text),
        " INFO smcp::audit: method=tools/call transport=sse tool=demo_math__add arguments=a,b outcome=ok \
         duration_ms=12.345 session=01234567 agent=agent-1 key=sha256:9f86d081 bytes_in=120 bytes_out=80\n"
    );
}

#[test]
fn the_audit_line_never_holds_a_value() {
    const CANARY: &str = "canary-5b1d";
    let arguments: Map<String, Value> =
        serde_json::from_value(json!({"password": CANARY, "deep": {"list": [CANARY]}})).unwrap();
    for settings in [Settings::default(), json_settings()] {
        let log = file_of(settings, || {
            AuditLine {
                method: "tools/call",
                outcome: OK,
                ..AuditLine::default()
            }
            .arguments(arguments.keys().map(String::as_str))
            .emit();
        });
        assert!(log.contains("password") && !log.contains(CANARY), "{log}");
    }
}

#[test]
fn the_audit_line_cuts_and_escapes_what_clients_chose() {
    let agent = format!("evil\nagent{}", "x".repeat(1000));
    let log = file_of(Settings::default(), || {
        AuditLine {
            method: EVIL,
            agent: Some(&agent),
            outcome: "-32601",
            ..AuditLine::default()
        }
        .arguments([EVIL, "fine"])
        .emit();
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(
        log.contains("evil\\nagent") && log.contains("x…\"") && log.len() < 1000,
        "{log}"
    );
}
