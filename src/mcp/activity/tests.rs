//! Calls as those see them who watch the server.

use super::*;

fn begun(activity: &Activity, name: &str) -> (Watched, CancellationToken) {
    let run = CancellationToken::new();
    let call = NewCall {
        method: "tools/call",
        name,
        transport: Transport::Direct,
        session: "",
        client: None,
        principal: &Principal::default(),
    };
    (activity.begin(&call, run.clone()), run)
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[test]
fn a_call_runs_until_it_is_dropped_and_is_cancelled_without_an_outcome() {
    let activity = Activity::default();
    let (one, _) = begun(&activity, "one");
    let (two, _) = begun(&activity, "two");
    assert_eq!(activity.running(|_| true).len(), 2);
    one.ends(OK);
    one.ends("timeout");
    drop((one, two));
    assert!(activity.running(|_| true).is_empty());
    let ended = activity.ended_after(0, |_| true);
    let ended: Vec<_> = ended
        .iter()
        .map(|call| (&*call.asked.name, call.outcome))
        .collect();
    assert_eq!(ended, [("one", OK), ("two", "cancelled")]);
}

#[test]
fn what_somebody_ended_on_purpose_has_not_failed() {
    let activity = Activity::default();
    for outcome in [OK, "timeout", "stopped", "cancelled", "plugin_error"] {
        begun(&activity, "one").0.ends(outcome);
    }
    drop(begun(&activity, "gone"));
    let counts = activity.minutes().iter().fold([0; 3], |sum, one| {
        [sum[0] + one.ok, sum[1] + one.failed, sum[2] + one.stopped]
    });
    assert_eq!(counts, [1, 2, 3]);
}

#[test]
fn a_call_is_stopped_by_who_may_and_by_its_own_id() {
    let activity = Activity::default();
    let (watched, run) = begun(&activity, "one");
    let id = activity.running(|_| true)[0].asked.id.clone();
    assert!(!activity.stop(&id, |_| false) && !run.is_cancelled());
    // That of another start has the same number.
    assert!(!activity.stop("zzzzzzzz-1", |_| true));
    assert!(activity.stop(&id, |_| true) && run.is_cancelled() && watched.is_stopped());
    drop(watched);
    assert!(!activity.stop(&id, |_| true), "it has ended");
}

#[test]
fn the_last_calls_are_kept_and_names_cut() {
    let activity = Activity::default();
    for _ in 0..MAX_ENDED + 7 {
        drop(begun(&activity, &"é".repeat(1000)));
    }
    let ended = activity.ended_after(0, |_| true);
    assert_eq!((ended.len(), ended[0].number), (MAX_ENDED, 8));
    assert!(
        ended
            .iter()
            .all(|call| call.asked.name.chars().count() == MAX_NAME)
    );
    assert_eq!(activity.ended_after(206, |_| true).len(), 1);
}

#[test]
fn progress_is_the_last_that_was_said() {
    let activity = Activity::default();
    let (watched, _) = begun(&activity, "one");
    watched.progress(&raw("1"), Some(&raw("4")), Some(&"x".repeat(1000)));
    watched.progress(&raw("2.5"), None, None);
    let at = activity.running(|_| true)[0].progress();
    assert_eq!((at.progress, at.total, &*at.message), (Some(2.5), None, ""));
}

#[test]
fn minutes_are_kept_for_an_hour_and_a_clock_set_back_makes_no_new_one() {
    let mut calls = Calls::default();
    for minute in 100..200 {
        calls.minute(minute).ok += 1;
    }
    calls.minute(150).failed += 1;
    assert_eq!(
        (calls.minutes.len(), calls.minutes[0].minute),
        (MAX_MINUTES, 140)
    );
    assert_eq!(calls.minutes[59].failed, 1, "counted in the last one");
}
