//! Chances that a seed repeats (SplitMix64), and rounds that are played by them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::rows;

/// A source of choices.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is above zero.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed % end as u64) as usize
    }

    /// True in `percent` of a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Waits up to 200 ms: calls are then about to start, running, or ending.
    pub fn wait_a_while(&mut self) {
        std::thread::sleep(Duration::from_micros(self.below(200_000) as u64));
    }
}

/// Plays so many rounds, `most` at a time, each with chances of its own. `SMCP_TEST_SEED`, which is printed, repeats
/// them.
#[track_caller]
pub fn play(what: &str, rounds: u64, most: usize, round: impl Fn(&mut Chance) + Sync) {
    let seed = seed();
    println!("{what}: SMCP_TEST_SEED={seed}");
    let rounds: Vec<u64> = (0..rounds).collect();
    rows::each(
        &rounds,
        most,
        |number| format!("{what}, round {number} of seed {seed}"),
        |number| round(&mut Chance(seed.wrapping_add(number << 32))),
    );
}

fn seed() -> u64 {
    if let Ok(given) = std::env::var("SMCP_TEST_SEED") {
        return given.parse().expect("SMCP_TEST_SEED is a whole number");
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs()
}
