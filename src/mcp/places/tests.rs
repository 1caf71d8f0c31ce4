//! Whose session makes room for whose.

use super::*;
use crate::mcp::usage::{InUse, chances};

const A: Whose = Some(KeyId::from_digest([1; 32]));
const B: Whose = Some(KeyId::from_digest([2; 32]));
const C: Whose = Some(KeyId::from_digest([3; 32]));
const NOBODY: Whose = None;

/// Sessions in places, and what holds each of them open.
struct World {
    places: Places,
    open: Vec<(Whose, Arc<Usage>, Option<InUse>)>,
    count: usize,
}

impl World {
    fn of(max: usize) -> Self {
        Self {
            places: Places::new(max),
            open: Vec::new(),
            count: 0,
        }
    }

    /// One more session, as the server opens it. Says which one ended for it, if one did.
    fn opens(&mut self, key: Whose) -> Result<Option<GivenUp>, AllInUse> {
        self.opens_at(key, Instant::now())
    }

    fn opens_at(&mut self, key: Whose, now: Instant) -> Result<Option<GivenUp>, AllInUse> {
        let given_up = self.places.room_for(key, now)?;
        if let Some(given_up) = &given_up {
            self.ends(given_up.usage.session().clone());
        }
        let usage = self.places.enter(self.count.to_string().into(), key);
        self.count += 1;
        let held = usage.hold(false);
        self.open.push((key, usage, Some(held)));
        assert!(self.open.len() <= self.places.max);
        assert_eq!(self.open.len(), self.places.taken);
        Ok(given_up)
    }

    fn ends(&mut self, id: Arc<str>) {
        let place = self
            .open
            .iter()
            .position(|(_, usage, _)| usage.session() == &id);
        let (key, usage, _held) = self.open.remove(place.expect("it is open"));
        self.places.leave(&usage, key);
    }

    /// Sessions that a client streams to.
    fn streams(&mut self, key: Whose, count: usize) {
        for _ in 0..count {
            self.opens(key).expect("there is room");
        }
    }

    /// Sessions of clients between two requests.
    fn idle(&mut self, key: Whose, count: usize) {
        for _ in 0..count {
            self.opens(key).expect("there is room");
            self.open.last_mut().expect("it is there").2 = None;
        }
    }

    /// Lets each session of the key run a program.
    fn calls(&mut self, key: Whose) -> Vec<InUse> {
        let own = self.open.iter().filter(|(whose, ..)| *whose == key);
        own.map(|(_, usage, _)| usage.hold(true)).collect()
    }

    fn held(&self, key: Whose) -> usize {
        let count = self.open.iter().filter(|(whose, ..)| *whose == key).count();
        assert_eq!(count, self.places.held_by(key));
        count
    }
}

#[track_caller]
fn given_up(opened: Result<Option<GivenUp>, AllInUse>) -> (Whose, String, bool) {
    let given_up = opened.expect("there is room").expect("somebody makes it");
    let id = given_up.usage.session().to_string();
    (given_up.key, id, given_up.was_idle)
}

#[test]
fn below_the_cap_nobody_gives_anything_up() {
    let mut world = World::of(5);
    world.streams(A, 4);
    assert!(world.opens(B).expect("a place is free").is_none());
    let all_in_use = world.opens(C).map(|given_up| given_up.is_some());
    assert_eq!(all_in_use, Ok(true));
}

#[test]
fn who_holds_all_gives_up_to_who_comes_until_the_shares_are_even() {
    let mut world = World::of(20);
    world.streams(A, 20);
    for number in 0..10 {
        assert_eq!(given_up(world.opens(B)), (A, number.to_string(), false));
    }
    for key in [A, B] {
        let refused = world.opens(key).expect_err("ten and ten");
        assert_eq!((refused.max, refused.own, refused.with_key), (20, 10, true));
    }
    for _ in 0..6 {
        given_up(world.opens(C));
    }
    assert_eq!([A, B, C].map(|key| world.held(key)), [7, 7, 6]);
    assert!([A, B, C].iter().all(|key| world.opens(*key).is_err()));
}

#[test]
fn what_is_in_use_ends_only_for_a_step_towards_even_shares() {
    // However the keys come, the sum of the squares of what they hold sinks with each stream that is ended: so they cannot
    // take from each other in turn.
    let mut world = World::of(30);
    world.streams(A, 25);
    world.streams(B, 5);
    let squares = |world: &World| {
        [A, B, C, NOBODY]
            .map(|key| world.held(key).pow(2))
            .iter()
            .sum::<usize>()
    };
    for chance in chances(3).take(2000) {
        let key = [A, B, C, NOBODY][(chance >> 33) as usize % 4];
        let before = squares(&world);
        if world.opens(key).is_ok() {
            assert!(squares(&world) < before);
        }
    }
    let held = [A, B, C, NOBODY].map(|key| world.held(key));
    assert!(held.iter().all(|held| [7, 8].contains(held)), "{held:?}");
}

#[test]
fn one_key_alone_is_refused_unless_one_of_its_sessions_is_idle() {
    for key in [A, NOBODY] {
        let mut world = World::of(3);
        world.streams(key, 2);
        world.idle(key, 1);
        assert_eq!(given_up(world.opens(key)), (key, "2".into(), true));
        let refused = world.opens(key).expect_err("three streams");
        let whose = if key.is_some() {
            "with your key"
        } else {
            "without a key"
        };
        let said = format!(
            "all 3 sessions are in use, 3 of them {whose}; end one of these, or raise MCP_MAX_SESSIONS"
        );
        assert_eq!(refused.to_string(), said);
        // Of those that are idle the one goes that has been so for longest.
        for place in [1, 0, 2] {
            world.open[place].2 = None;
        }
        assert_eq!(given_up(world.opens(key)).1, "1");
    }
}

#[test]
fn a_session_that_was_used_again_is_not_the_one_idle_longest() {
    let mut world = World::of(3);
    world.idle(A, 3);
    world.open[0].1.touch();
    drop(world.open[1].1.hold(false));
    assert_eq!(given_up(world.opens(A)).1, "2");
    assert_eq!(given_up(world.opens(A)).1, "0");
}

#[test]
fn of_who_holds_more_what_is_idle_ends_before_what_is_in_use() {
    let mut world = World::of(7);
    world.streams(A, 4);
    world.streams(B, 2);
    world.idle(B, 1);
    assert_eq!(given_up(world.opens(C)), (B, "6".into(), true));
    assert_eq!(given_up(world.opens(C)), (A, "0".into(), false));
}

#[test]
fn an_idle_session_of_who_holds_as_many_or_fewer_stays() {
    let mut world = World::of(4);
    world.streams(A, 3);
    world.idle(B, 1);
    assert!(
        world.opens(A).is_err(),
        "three streams against one idle session"
    );
    let mut world = World::of(4);
    world.streams(A, 2);
    world.idle(B, 2);
    assert!(world.opens(A).is_err(), "two against two");
}

#[test]
fn a_session_that_nobody_used_for_minutes_makes_room_for_whoever_comes() {
    let mut world = World::of(4);
    world.idle(B, 1);
    world.streams(A, 3);
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    assert!(world.opens_at(A, later(290)).is_err());
    assert_eq!(
        given_up(world.opens_at(A, later(300))),
        (B, "0".into(), true)
    );
}

#[test]
fn between_its_calls_a_small_key_keeps_its_sessions_and_a_large_one_makes_room() {
    let mut world = World::of(6);
    world.streams(A, 6);
    for number in 0..3 {
        assert_eq!(given_up(world.opens(B)), (A, number.to_string(), false));
        world.open.last_mut().expect("it is there").2 = None;
    }
    // At its share it takes turns within it.
    assert_eq!(given_up(world.opens(B)), (B, "6".into(), true));
    assert_eq!([A, B].map(|key| world.held(key)), [3, 3]);
}

#[test]
fn where_there_are_more_keys_than_places_idle_ones_go_round() {
    let mut world = World::of(1);
    world.idle(A, 1);
    assert_eq!(given_up(world.opens(B)), (A, "0".into(), true));
    let refused = world
        .opens(A)
        .expect_err("a stream is not taken for a swap");
    let said = "all 1 sessions are in use, none of them with your key, and none can make room; try again later, or raise MCP_MAX_SESSIONS";
    assert_eq!(refused.to_string(), said);
}

#[test]
fn a_running_call_is_not_ended_and_the_next_largest_makes_room() {
    let mut world = World::of(9);
    world.streams(A, 5);
    world.streams(B, 4);
    let mut calls = world.calls(A);
    assert_eq!(given_up(world.opens(C)), (B, "5".into(), false));
    calls.extend(world.calls(B));
    assert!(world.opens(C).is_err(), "each has a call");
    // The stream is still there when the call has ended.
    drop(calls.remove(2));
    assert_eq!(given_up(world.opens(C)), (A, "2".into(), false));
}

#[test]
fn the_log_says_it_once_in_a_minute_of_each_key() {
    let mut world = World::of(2);
    world.streams(A, 1);
    world.streams(B, 1);
    let now = Instant::now();
    let mut said = |key, seconds| {
        let at = now + Duration::from_secs(seconds);
        world.places.is_to_be_said(key, at)
    };
    assert_eq!(
        [said(A, 0), said(A, 59), said(B, 59), said(A, 60)],
        [true, false, true, true]
    );
    assert!(!said(C, 0), "it holds none");
}

#[test]
fn nothing_is_kept_of_a_key_without_sessions() {
    let mut world = World::of(2);
    world.streams(A, 2);
    world.ends("0".into());
    let (key, usage, _held) = world.open.remove(0);
    world.places.leave(&usage, key);
    world.places.leave(&usage, key);
    assert_eq!((world.places.taken, world.places.by_key.len()), (0, 0));
}
