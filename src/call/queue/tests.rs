use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// A queue whose gates let in equally many.
fn of_size(permits: usize) -> Queue {
    Queue::new(Bounds {
        running: permits,
        computing: permits,
    })
}

fn demand(session: &str) -> Demand {
    of("key", session)
}

fn of(key: &str, session: &str) -> Demand {
    Demand {
        client: Client {
            key: Some(key.to_owned()),
            agent: None,
            session: Some(session.to_owned()),
        },
        ..Demand::default()
    }
}

/// A call without a session and without an agent.
fn direct(key: &str) -> Demand {
    let mut demand = of(key, "");
    demand.client.session = None;
    demand
}

fn limited(session: &str, limit: usize) -> Demand {
    Demand {
        limits: vec![("tool".to_owned(), limit)],
        ..demand(session)
    }
}

type Waiting<'q> = Pin<Box<dyn Future<Output = Result<Permits, Full>> + 'q>>;

fn ask(queue: &Queue, demand: Demand) -> Waiting<'_> {
    let mut waiting: Waiting<'_> = Box::pin(queue.acquire(demand));
    assert!(poll(&mut waiting).is_none(), "it is to wait");
    waiting
}

fn poll(waiting: &mut Waiting<'_>) -> Option<Result<Permits, Full>> {
    match waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn permit(queue: &Queue, demand: Demand) -> Permits {
    let mut waiting: Waiting<'_> = Box::pin(queue.acquire(demand));
    poll(&mut waiting)
        .expect("there is a permit")
        .expect("the queue is not full")
}

#[test]
fn one_permit_serialises_all_calls_in_the_order_of_their_coming() {
    let queue = of_size(1);
    let first = permit(&queue, demand("a"));
    let (mut second, mut third) = (ask(&queue, demand("b")), ask(&queue, demand("c")));
    drop(first);
    let second = poll(&mut second).expect("its turn has come");
    assert!(poll(&mut third).is_none(), "one permit, one call");
    drop(second);
    assert!(poll(&mut third).is_some());
}

#[test]
fn the_session_with_fewer_running_calls_is_next_whoever_came_first() {
    let queue = of_size(4);
    let busy: Vec<_> = (0..3).map(|_| permit(&queue, demand("busy"))).collect();
    let other = permit(&queue, demand("other"));
    let mut fourth = ask(&queue, demand("busy"));
    let mut newcomer = ask(&queue, demand("newcomer"));
    drop(other);
    assert!(poll(&mut newcomer).is_some());
    assert!(poll(&mut fourth).is_none());
    drop((busy, newcomer));
    assert!(poll(&mut fourth).is_some());
}

#[test]
fn one_session_leaves_permits_to_the_others() {
    let queue = of_size(4);
    let _busy: Vec<_> = (0..3).map(|_| permit(&queue, demand("busy"))).collect();
    let _waits = ask(&queue, demand("busy"));
    permit(&queue, demand("other"));
}

#[test]
fn a_full_limit_holds_up_its_own_calls_alone() {
    let queue = of_size(8);
    let first = permit(&queue, limited("a", 1));
    let mut second = ask(&queue, limited("b", 1));
    drop(permit(&queue, demand("a")));
    drop(first);
    assert!(poll(&mut second).is_some());
}

#[test]
fn a_call_that_left_the_queue_takes_no_permit() {
    let queue = of_size(1);
    let first = permit(&queue, demand("a"));
    let gone = ask(&queue, demand("b"));
    let gone_with_its_permit = ask(&queue, demand("c"));
    drop(gone);
    drop(first);
    // Its turn has come, but nobody is there to see it.
    drop(gone_with_its_permit);
    assert_eq!(queue.load(), Load::default());
    permit(&queue, demand("d"));
}

#[test]
fn waiting_is_bounded_for_one_session_and_for_all() {
    let queue = of_size(1);
    let _running = permit(&queue, demand("first"));
    let client = |number: usize| demand(&format!("p{}", number / MAX_WAITING_OF_ONE));
    let _waiting: Vec<_> = (0..MAX_WAITING - 1)
        .map(|number| ask(&queue, client(number)))
        .collect();
    let refused = |demand| {
        let mut waiting: Waiting<'_> = Box::pin(queue.acquire(demand));
        poll(&mut waiting)
            .expect("it does not wait")
            .expect_err("it is refused")
    };
    assert_eq!(refused(client(0)), Full::ForSession);
    let _last = ask(&queue, demand("last"));
    assert_eq!(refused(demand("late")), Full::ForAll);
}

#[test]
fn another_key_waits_for_one_turn_however_many_sessions_a_key_opens() {
    let queue = of_size(2);
    let first = permit(&queue, of("flood", "1"));
    let _second = permit(&queue, of("flood", "2"));
    let mut flood: Vec<_> = (3..40)
        .map(|session| ask(&queue, of("flood", &session.to_string())))
        .collect();
    let mut alone: Vec<_> = (0..40).map(|_| ask(&queue, direct("flood"))).collect();
    let mut other = ask(&queue, of("other", "1"));
    drop(first);
    let _other = poll(&mut other).expect("its turn is the first");
    let mut waiting = flood.iter_mut().chain(&mut alone);
    assert!(waiting.all(|waiting| poll(waiting).is_none()));
}

#[test]
fn agents_of_one_key_take_turns_and_sessions_of_one_agent() {
    let queue = of_size(3);
    let agent = |agent: &str, session: &str| {
        let mut demand = of("key", session);
        demand.client.agent = Some(agent.to_owned());
        demand
    };
    let busy: Vec<_> = ["1", "2", "3"]
        .map(|session| permit(&queue, agent("a", session)))
        .into();
    let mut more = ask(&queue, agent("a", "4"));
    let mut other = ask(&queue, agent("b", "1"));
    let mut busy = busy.into_iter();
    drop(busy.next());
    let _other = poll(&mut other).expect("it is its turn");
    assert!(poll(&mut more).is_none());
}

#[test]
fn keys_take_turns_at_a_single_permit() {
    let queue = of_size(1);
    let first = permit(&queue, direct("flood"));
    let mut flood: Vec<_> = (0..10).map(|_| ask(&queue, direct("flood"))).collect();
    let mut other: Vec<_> = (0..2).map(|_| ask(&queue, direct("other"))).collect();
    drop(first);
    let turn = poll(&mut other[0]).expect("it has had none");
    drop(turn);
    let turn = poll(&mut flood[0]).expect("the other one had the last");
    drop(turn);
    assert!(poll(&mut other[1]).is_some());
}

#[test]
fn a_full_queue_has_room_for_a_key_that_has_fewer_calls_in_it() {
    let queue = of_size(1);
    let running = permit(&queue, direct("flood"));
    let mut flood: Vec<_> = (0..MAX_WAITING)
        .map(|_| ask(&queue, direct("flood")))
        .collect();
    let mut newcomer = ask(&queue, direct("other"));
    let mut newest = flood.pop().expect("there are many");
    let refused = poll(&mut newest).expect("it waits no longer");
    assert_eq!(refused.expect_err("it was outvoted"), Full::ForKey);
    let mut same: Waiting<'_> = Box::pin(queue.acquire(direct("flood")));
    let refused = poll(&mut same).expect("it does not wait");
    assert_eq!(refused.expect_err("the queue is full"), Full::ForAll);
    drop(running);
    assert!(poll(&mut newcomer).is_some(), "and it is next");
}

#[test]
fn a_client_that_does_not_read_waits_without_a_permit_and_is_next_when_it_reads() {
    let queue = of_size(1);
    let (unread, receiver) = watch::channel(1);
    let mut stalled = ask(
        &queue,
        Demand {
            unread: Some(receiver),
            ..demand("stalled")
        },
    );
    assert_eq!(
        queue.load(),
        Load {
            waiting: 1,
            ..Load::default()
        },
        "it takes no permit"
    );
    drop(permit(&queue, demand("other")));
    assert!(poll(&mut stalled).is_none());
    unread.send_replace(0);
    // The first look hands the permit out, the second finds it.
    let permit = poll(&mut stalled).or_else(|| poll(&mut stalled));
    assert!(permit.is_some());
}

/// A call that holds so many bytes while it waits.
fn holding(mebibytes: usize, demand: Demand) -> Demand {
    Demand {
        size: mebibytes << 20,
        ..demand
    }
}

#[test]
fn what_waiting_calls_hold_is_bounded_for_one_client_and_for_all() {
    let queue = of_size(1);
    let running = permit(&queue, holding(100, direct("first")));
    let refused = |demand| {
        let mut waiting: Waiting<'_> = Box::pin(queue.acquire(demand));
        poll(&mut waiting)
            .expect("it does not wait")
            .expect_err("it is refused")
    };
    let mut waiting: Vec<_> = ["a", "b", "c"]
        .map(|key| ask(&queue, holding(16, of(key, "one"))))
        .into();
    assert_eq!(refused(holding(1, of("a", "two"))), Full::BytesOfClient);
    let mut keyless = demand("one");
    keyless.client.key = None;
    waiting.push(ask(&queue, holding(10, keyless.clone())));
    assert_eq!(refused(holding(7, keyless.clone())), Full::BytesOfClient);
    keyless.client.session = Some("two".to_owned());
    assert_eq!(refused(holding(7, keyless.clone())), Full::BytesOfAll);
    waiting.push(ask(&queue, holding(6, keyless.clone())));
    assert_eq!(refused(holding(1, of("d", "one"))), Full::BytesOfAll);
    let _small = ask(&queue, of("a", "one"));
    // Whoever leaves, or has its turn, makes room.
    drop(waiting.swap_remove(1));
    let _next = ask(&queue, holding(16, of("d", "one")));
    drop(running);
    let _turn = poll(&mut waiting[0]).expect("its turn has come");
    let _same = ask(&queue, holding(16, of("a", "two")));
}

#[test]
fn what_waits_before_the_queue_counts_with_what_waits_in_it() {
    let queue = of_size(1);
    let client = demand("one").client;
    let share = MAX_WAITING_BYTES_OF_ONE;
    let held = queue.hold(&client, share / 2).expect("there is room");
    let _running = poll(&mut (Box::pin(queue.acquire(demand("other"))) as Waiting<'_>));
    let sized = |size| Demand {
        size,
        ..demand("one")
    };
    let too_much = poll(&mut (Box::pin(queue.acquire(sized(share / 2 + 1))) as Waiting<'_>));
    assert!(matches!(too_much, Some(Err(Full::BytesOfClient))));
    let waiting = ask(&queue, sized(share / 2));
    assert!(matches!(queue.hold(&client, 1), Err(Full::BytesOfClient)));
    drop(waiting);
    drop(held);
    assert!(queue.hold(&client, share).is_ok(), "all was given back");
    let all: Vec<_> = (0..MAX_WAITING_BYTES / share)
        .map(|number| {
            queue
                .hold(&of(&number.to_string(), "s").client, share)
                .unwrap()
        })
        .collect();
    assert!(matches!(queue.hold(&client, 1), Err(Full::BytesOfAll)));
    drop(all);
}

/// A queue with many permits to run and few to compute.
fn of_sizes(running: usize, computing: usize) -> Queue {
    Queue::new(Bounds { running, computing })
}

#[test]
fn a_call_that_waits_lets_others_in_and_stays_in_progress() {
    let queue = of_sizes(8, 1);
    let first = permit(&queue, demand("a"));
    let mut second = ask(&queue, demand("b"));
    drop(first.compute);
    let second = poll(&mut second)
        .expect("the first waits")
        .expect("the queue is not full");
    let load = Load {
        running: 2,
        computing: 1,
        waiting: 0,
    };
    assert_eq!(queue.load(), load);
    // In whichever order they come back.
    drop(second.run);
    drop(second.compute);
    drop(first.run);
    assert_eq!(queue.load(), Load::default());
}

#[test]
fn one_call_in_progress_is_one_call_whatever_may_compute() {
    let queue = of_sizes(1, 8);
    let first = permit(&queue, demand("a"));
    let mut second = ask(&queue, demand("b"));
    drop(first.compute);
    assert!(poll(&mut second).is_none(), "the first is in progress");
    drop(first.run);
    assert!(poll(&mut second).is_some());
}

#[test]
fn a_key_whose_calls_compute_lets_another_compute_within_one_turn() {
    let queue = of_sizes(64, 2);
    let first = permit(&queue, of("flood", "1"));
    let _second = permit(&queue, of("flood", "2"));
    let mut flood: Vec<_> = (0..40).map(|_| ask(&queue, direct("flood"))).collect();
    let mut other = ask(&queue, of("other", "1"));
    drop(first.compute);
    let _other = poll(&mut other).expect("its turn is the first");
    assert!(flood.iter_mut().all(|waiting| poll(waiting).is_none()));
}

#[test]
fn a_key_with_many_calls_that_wait_is_not_kept_out_by_one_that_computes() {
    let queue = of_sizes(64, 4);
    let mut sleepers = Vec::new();
    for number in 0..20 {
        let Permits { run, compute } = permit(&queue, of("sleeps", &number.to_string()));
        drop(compute);
        sleepers.push(run);
    }
    let mut burning: Vec<_> = (0..4).map(|_| permit(&queue, direct("burns"))).collect();
    let mut burns: Vec<_> = (0..40).map(|_| ask(&queue, direct("burns"))).collect();
    let mut sleeps = ask(&queue, of("sleeps", "20"));
    // A third of the one gate is less than three quarters of the other.
    burning.pop();
    let _sleeps = poll(&mut sleeps).expect("its share is the smaller");
    assert!(burns.iter_mut().all(|waiting| poll(waiting).is_none()));
}

#[test]
fn a_key_whose_calls_wait_lets_another_into_the_full_gate_within_one_turn() {
    let queue = of_sizes(4, 4);
    let mut sleepers: Vec<_> = (0..4)
        .map(|_| {
            let Permits { run, compute } = permit(&queue, direct("sleeps"));
            drop(compute);
            run
        })
        .collect();
    let mut more: Vec<_> = (0..9).map(|_| ask(&queue, direct("sleeps"))).collect();
    let mut other = ask(&queue, direct("other"));
    sleepers.pop();
    let _other = poll(&mut other).expect("its turn is the first");
    assert!(more.iter_mut().all(|waiting| poll(waiting).is_none()));
}

#[test]
fn what_calls_in_progress_were_asked_with_is_bounded_and_one_alone_is_not() {
    let queue = of_size(8);
    let alone = permit(&queue, holding(200, direct("a")));
    let mut small = ask(&queue, holding(1, direct("b")));
    drop(alone.compute);
    assert!(poll(&mut small).is_none(), "its arguments are still there");
    drop(alone.run);
    let _small = poll(&mut small).expect("there is room");
    let _more = permit(&queue, holding(127, direct("c")));
    let _waits = ask(&queue, holding(1, direct("d")));
    permit(&queue, direct("e"));
}
