use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

fn line(bytes: usize) -> Bytes {
    vec![b'x'; bytes].into()
}

fn key(name: &str) -> Option<KeyId> {
    Some(KeyId::of(name.as_bytes()))
}

#[derive(Debug)]
struct Kept(Mutex<Vec<Counted>>, AtomicBool);

impl Holder for Kept {
    fn give_back(&self) -> bool {
        self.0.lock().unwrap().pop().is_some()
    }

    fn cut(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    fn cut_if_stalled(&self, _: Duration) {}
}

fn kept_by(account: &Account, lines: Vec<Counted>) -> Arc<Kept> {
    let kept = Arc::new(Kept(Mutex::new(lines), AtomicBool::new(false)));
    let holder: Arc<dyn Holder> = kept.clone();
    account.held_by(Arc::downgrade(&holder));
    kept
}

#[test]
fn a_line_counts_until_its_last_copy_is_gone() {
    let budget = Arc::new(Budget::new(1000));
    let account = budget.open(None);
    let first = account.try_count(line(100)).unwrap().into_bytes();
    let part = first.slice(10..20);
    drop(first);
    assert_eq!(budget.used(), 100);
    drop(part);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_client_has_a_quarter_and_a_key_half_of_the_budget() {
    let budget = Arc::new(Budget::new(1000));
    let clients: Vec<_> = (0..4).map(|_| budget.open(key("one"))).collect();
    let held: Vec<_> = clients[..2]
        .iter()
        .map(|client| client.try_count(line(250)).unwrap())
        .collect();
    assert!(clients[0].try_count(line(1)).is_err(), "a client's share");
    assert!(clients[2].try_count(line(1)).is_err(), "a key's share");
    let other = budget.open(key("two"));
    assert!(other.try_count(line(250)).is_ok(), "another key's share");
    drop(held);
    assert!(clients[2].try_count(line(1)).is_ok());
}

#[test]
fn one_line_of_any_length_is_let_in() {
    let budget = Arc::new(Budget::new(1000));
    let account = budget.open(None);
    let long = account.try_count(line(5000)).unwrap();
    assert!(account.try_count(line(1)).is_err());
    drop(long);
    assert!(account.try_count(line(1)).is_ok());
}

#[test]
fn what_was_kept_for_convenience_makes_room() {
    let budget = Arc::new(Budget::new(1000));
    let account = budget.open(None);
    let kept = (0..5).map(|_| account.try_count(line(50)).unwrap());
    let _kept = kept_by(&account, kept.collect());
    let answer = account.try_count(line(200)).unwrap();
    assert_eq!(answer.len(), 200);
    assert_eq!(budget.used(), 250);
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_room_and_is_given_up_after_a_while() {
    let budget = Arc::new(Budget::new(1000));
    let (first, second) = (budget.open(None), budget.open(None));
    let held = first.try_count(line(1000)).unwrap();
    let waiting = tokio::spawn({
        let second = Arc::clone(&second);
        async move { second.count_soon(line(10)).await.is_ok() }
    });
    tokio::task::yield_now().await;
    drop(held);
    assert!(waiting.await.unwrap());
    let _held = first.try_count(line(1000)).unwrap();
    assert!(second.count_soon(line(10)).await.is_err());
    assert!(
        second.count_soon(line(900)).await.is_err(),
        "too much waits"
    );
}

#[tokio::test]
async fn who_has_taken_nothing_for_longest_is_cut_for_others() {
    let budget = Arc::new(Budget::new(1000));
    let (old, new, asking) = (budget.open(None), budget.open(None), budget.open(None));
    let (old_holder, new_holder) = (kept_by(&old, Vec::new()), kept_by(&new, Vec::new()));
    let held = [
        old.try_count(line(250)).unwrap(),
        new.try_count(line(250)).unwrap(),
    ];
    tokio::time::sleep(STALLED + Duration::from_millis(100)).await;
    new.moved();
    let soon = Duration::from_millis(100);
    let asked = tokio::time::timeout(soon, asking.count_soon(line(10)));
    assert!(asked.await.is_err());
    assert!(old_holder.1.load(Ordering::Relaxed));
    assert!(!new_holder.1.load(Ordering::Relaxed));
    drop(held);
}

#[tokio::test]
async fn what_is_counted_whatever_there_is_makes_room_above_the_budget() {
    let budget = Arc::new(Budget::new(1000));
    let (old, asking) = (budget.open(None), budget.open(None));
    let holder = kept_by(&old, vec![old.try_count(line(400)).unwrap()]);
    let _held = old.count(line(600));
    let first = asking.count(line(10));
    assert_eq!(budget.used(), 610, "what was kept is given back first");
    let second = asking.count(line(500));
    assert!(!holder.1.load(Ordering::Relaxed), "it may still read");
    tokio::time::sleep(STALLED + Duration::from_millis(100)).await;
    let third = asking.count(line(10));
    assert!(holder.1.load(Ordering::Relaxed));
    assert_eq!(
        [first, second, third]
            .iter()
            .map(Counted::len)
            .sum::<usize>(),
        520
    );
}

#[test]
fn the_answers_of_a_batch_are_one_line_that_counts_as_much_as_they() {
    let budget = Arc::new(Budget::new(1000));
    let account = budget.open(None);
    let answers = vec![account.count(line(2)), account.count(line(3))];
    let array = Counted::array(answers).unwrap();
    assert_eq!(array.as_ref(), b"[xx,xxx]");
    assert_eq!(budget.used(), 5);
    assert!(Counted::array(Vec::new()).is_none());
}
