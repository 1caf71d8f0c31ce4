//! What holds a session open, since when nothing does, and which of one key's sessions has been idle longest. Knows no
//! session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

/// The idle sessions of one key, the one that has been idle longest first.
///
/// A session enters when the last thing goes that held it open. One that is used again stays until somebody looks: so a
/// request takes no lock that others wait for, and a look pays only for what was used since the one before.
#[derive(Debug, Default)]
pub struct Idle(Mutex<BTreeMap<Since, Weak<Usage>>>);

/// Since when a session is idle, or has been at least, and its id.
type Since = (Instant, Arc<str>);

/// How one session is used.
#[derive(Debug)]
pub struct Usage {
    session: Arc<str>,
    idle: Arc<Idle>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// Streams and requests that are under way.
    holders: usize,
    /// Those of them that run a program.
    calls: usize,
    /// Under which time it is among the idle ones; `None` if it is not.
    listed: Option<Instant>,
    /// It has ended, and enters no more.
    is_over: bool,
}

impl Idle {
    /// The one that has been idle longest, and since when.
    pub fn longest(&self) -> Option<(Instant, Arc<Usage>)> {
        loop {
            let (place, usage) = {
                let all = self.lock();
                let (place, usage) = all.first_key_value()?;
                (place.clone(), usage.upgrade())
            };
            match usage {
                Some(usage) if usage.is_still_idle_since(place.0) => return Some((place.0, usage)),
                // It has found its new place, or left.
                Some(_) => {}
                None => drop(self.lock().remove(&place)),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Since, Weak<Usage>>> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

impl Usage {
    /// Nothing holds the session yet. It is not among those that are idle before something has.
    pub fn new(session: Arc<str>, idle: Arc<Idle>) -> Arc<Self> {
        Arc::new(Self {
            session,
            idle,
            state: Mutex::new(State {
                used: Instant::now(),
                holders: 0,
                calls: 0,
                listed: None,
                is_over: false,
            }),
        })
    }

    /// The session's id.
    pub fn session(&self) -> &Arc<str> {
        &self.session
    }

    /// Something comes from the client that takes no time.
    pub fn touch(&self) {
        self.lock().used = Instant::now();
    }

    /// Holds the session open for as long as the returned value lives. `runs_a_program`: for a call of one.
    pub fn hold(self: &Arc<Self>, runs_a_program: bool) -> InUse {
        let calls = usize::from(runs_a_program);
        let mut state = self.lock();
        state.used = Instant::now();
        state.holders += 1;
        state.calls += calls;
        InUse {
            usage: Arc::clone(self),
            calls,
        }
    }

    /// Since when nothing has held it open and nothing has come; `None` while something holds it.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.holders == 0).then_some(state.used)
    }

    /// When it was used last; `None` while one of its calls runs a program.
    pub fn last_used_without_a_call(&self) -> Option<Instant> {
        let state = self.lock();
        (state.calls == 0).then_some(state.used)
    }

    /// The session has ended.
    pub fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        self.unlist(&mut state);
    }

    fn is_still_idle_since(self: &Arc<Self>, at: Instant) -> bool {
        let mut state = self.lock();
        if state.listed != Some(at) {
            return false;
        }
        let is_idle = state.holders == 0;
        if is_idle && state.used == at {
            return true;
        }
        self.unlist(&mut state);
        if is_idle {
            self.list(&mut state);
        }
        false
    }

    fn list(self: &Arc<Self>, state: &mut State) {
        let place = (state.used, Arc::clone(&self.session));
        self.idle.lock().insert(place, Arc::downgrade(self));
        state.listed = Some(state.used);
    }

    fn unlist(&self, state: &mut State) {
        if let Some(at) = state.listed.take() {
            self.idle.lock().remove(&(at, Arc::clone(&self.session)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

/// Holds a session open.
#[derive(Debug)]
pub struct InUse {
    usage: Arc<Usage>,
    calls: usize,
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut state = self.usage.lock();
        state.used = Instant::now();
        state.holders -= 1;
        state.calls -= self.calls;
        if state.holders == 0 && state.listed.is_none() && !state.is_over {
            self.usage.list(&mut state);
        }
    }
}

/// Numbers without an order, the same ones each time: a plain generator, whose higher bits are the better ones.
#[cfg(test)]
pub(super) fn chances(seed: u64) -> impl Iterator<Item = u64> {
    let next = |chance: &u64| {
        let next = chance.wrapping_mul(6_364_136_223_846_793_005);
        Some(next.wrapping_add(1))
    };
    std::iter::successors(Some(seed), next).skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(count: usize) -> (Arc<Idle>, Vec<Arc<Usage>>) {
        let idle = Arc::new(Idle::default());
        let of = |number: usize| Usage::new(number.to_string().into(), Arc::clone(&idle));
        let all = (0..count).map(of).collect();
        (idle, all)
    }

    fn longest(idle: &Idle) -> Option<String> {
        idle.longest().map(|(_, usage)| usage.session().to_string())
    }

    #[test]
    fn a_session_is_idle_once_the_last_thing_that_held_it_has_gone() {
        let (idle, all) = sessions(1);
        assert_eq!(longest(&idle), None, "nobody has seen it yet");
        let (stream, call) = (all[0].hold(false), all[0].hold(true));
        drop(stream);
        assert_eq!((longest(&idle), all[0].idle_since()), (None, None));
        assert_eq!(all[0].last_used_without_a_call(), None);
        drop(call);
        assert_eq!(longest(&idle).as_deref(), Some("0"));
        assert_eq!(all[0].idle_since(), all[0].last_used_without_a_call());
        let again = all[0].hold(false);
        assert_eq!(longest(&idle), None);
        drop(again);
        assert_eq!(longest(&idle).as_deref(), Some("0"));
    }

    #[test]
    fn who_is_idle_longest_is_found_in_any_order_of_uses() {
        let (idle, all) = sessions(20);
        let mut held: Vec<Vec<InUse>> = all.iter().map(|_| Vec::new()).collect();
        // The same order of uses each time.
        for (step, chance) in chances(7).take(20_000).enumerate() {
            let place = (chance >> 33) as usize % all.len();
            match (chance >> 40) % 4 {
                0 => held[place].push(all[place].hold(false)),
                1 | 2 => drop(held[place].pop()),
                _ => all[place].touch(),
            }
            if step % 3 == 0 {
                let idlest = all.iter().filter_map(|usage| usage.idle_since()).min();
                // Those that nothing has held yet are idle and not among them.
                let found = idle.longest().map(|(since, _)| since);
                if step > 1000 {
                    assert_eq!(found, idlest, "step {step}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_sessions_that_have_ended() {
        let (idle, all) = sessions(3);
        for usage in &all {
            drop(usage.hold(false));
        }
        let stream = all[1].hold(false);
        all.iter().for_each(|usage| usage.end());
        drop(stream);
        assert!(idle.lock().is_empty(), "{idle:?}");
        let (idle, all) = sessions(1);
        drop(all[0].hold(false));
        drop(all);
        assert_eq!(longest(&idle), None);
        assert!(idle.lock().is_empty(), "{idle:?}");
    }
}
