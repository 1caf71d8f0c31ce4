//! Counts what a piece of work allocates, and measures the processor time of its thread alone.

use std::time::Duration;

use allocation_counter::measure;
use rustix::time::{ClockId, clock_gettime};

/// How much larger the second input is.
const FACTOR: u64 = 8;

/// How much more of what is counted it may take: buffers grow in steps.
const COUNTED: u64 = FACTOR * 2;

/// How much more processor time it may take. Caches and other work on the machine make it noisy; a quadratic parser
/// takes 64 times as much, and every doubling of the factor widens the gap.
const TIMED: u32 = 30;

/// Times below this say nothing.
const SHORTEST: Duration = Duration::from_micros(300);

/// Asserts that `work` takes, for the input that `make` gives of eight times the size, about eight times as much.
pub fn grows_with_its_input<T>(
    what: &str,
    size: usize,
    make: impl Fn(usize) -> T,
    work: impl Fn(&T),
) {
    let (small, large) = (make(size), make(size * FACTOR as usize));
    let (counted_small, counted_large) = (measure(|| work(&small)), measure(|| work(&large)));
    // A few allocations more are none that grow.
    let bytes = COUNTED * (counted_small.bytes_total + 4_096);
    assert!(
        counted_large.bytes_total <= bytes,
        "{what}: {} bytes for {size}, {} for {FACTOR} times that",
        counted_small.bytes_total,
        counted_large.bytes_total
    );
    let count = COUNTED * (counted_small.count_total + 64);
    assert!(
        counted_large.count_total <= count,
        "{what}: {} allocations for {size}, {} for {FACTOR} times that",
        counted_small.count_total,
        counted_large.count_total
    );
    let small_time = shortest(|| work(&small)).max(SHORTEST);
    let large_time = shortest(|| work(&large));
    assert!(
        large_time <= small_time * TIMED,
        "{what}: {small_time:?} for {size}, {large_time:?} for {FACTOR} times that"
    );
}

/// How many bytes `work` allocates.
pub fn allocated(work: impl FnOnce()) -> u64 {
    measure(work).bytes_total
}

/// The processor time of the best of three runs: what disturbs only ever adds.
fn shortest(work: impl Fn()) -> Duration {
    let run = || {
        let before = processor_time();
        work();
        processor_time() - before
    };
    (0..3).map(|_| run()).min().unwrap_or_default()
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
