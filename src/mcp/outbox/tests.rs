use super::*;

fn text(of: &str) -> Bytes {
    Bytes::copy_from_slice(of.as_bytes())
}

#[tokio::test]
async fn a_full_outbox_makes_responses_wait_and_loses_only_logs() {
    let outbox = std::sync::Arc::new(Outbox::default());
    for number in 0..MAX_LINES {
        outbox.send(text(&number.to_string())).await.unwrap();
    }
    assert!(!outbox.offer(text("log")));
    let waiting = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.send(text("response")).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert_eq!(outbox.next().await.unwrap(), "0");
    waiting.await.unwrap().unwrap();
    let mut last = Bytes::new();
    for _ in 0..MAX_LINES {
        last = outbox.next().await.unwrap();
    }
    assert_eq!(last, "response");
}

#[tokio::test]
async fn lines_without_room_are_counted_until_they_are_read() {
    let outbox = std::sync::Arc::new(Outbox::default());
    let mut unread = outbox.unread();
    for _ in 0..MAX_LINES + 2 {
        let outbox = std::sync::Arc::clone(&outbox);
        tokio::spawn(async move { outbox.send(text("x")).await });
    }
    unread.wait_for(|waiting| *waiting == 2).await.unwrap();
    outbox.next().await.unwrap();
    outbox.next().await.unwrap();
    unread.wait_for(|waiting| *waiting == 0).await.unwrap();
}

#[tokio::test]
async fn of_the_same_key_only_the_newest_is_sent() {
    let outbox = Outbox::default();
    for number in 0..1000 {
        outbox.offer_latest("token", text(&number.to_string()));
    }
    outbox.offer_latest("other", text("x"));
    assert_eq!(outbox.next().await.unwrap(), "999");
    assert_eq!(outbox.next().await.unwrap(), "x");
}

#[tokio::test]
async fn every_step_is_told_until_the_reader_falls_behind() {
    let outbox = Outbox::default();
    for number in 0..1000 {
        outbox.offer_step("token", text(&number.to_string()));
    }
    for number in 0..MAX_LINES / 2 - 1 {
        assert_eq!(outbox.next().await.unwrap(), number.to_string());
    }
    outbox.finish();
    let mut rest = Vec::new();
    while let Some(line) = outbox.next().await {
        rest.push(line);
    }
    assert_eq!(rest.len(), 1);
}

#[tokio::test]
async fn one_line_of_any_size_is_admitted() {
    let outbox = Outbox::default();
    outbox.send(vec![0; MAX_BYTES + 1].into()).await.unwrap();
    assert!(!outbox.offer(text("no room")));
}

#[tokio::test]
async fn closing_wakes_who_waits() {
    let outbox = std::sync::Arc::new(Outbox::default());
    for _ in 0..MAX_LINES {
        outbox.send(text("x")).await.unwrap();
    }
    let waiting = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.send(text("y")).await }
    });
    tokio::task::yield_now().await;
    outbox.close();
    assert_eq!(waiting.await.unwrap(), Err(Closed));
    assert_eq!(outbox.next().await, None);
}

#[tokio::test]
async fn finishing_lets_what_waits_be_read() {
    let outbox = Outbox::default();
    outbox.send(text("last")).await.unwrap();
    outbox.finish();
    assert_eq!(outbox.next().await.unwrap(), "last");
    assert_eq!(outbox.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn it_is_abandoned_when_nobody_has_read_it_for_a_while() {
    let outbox = Arc::new(Outbox::default());
    let absence = Duration::from_secs(10);
    let abandoned = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.abandoned(absence).await }
    });
    tokio::time::sleep(absence / 2).await;
    let reader = outbox.attach();
    tokio::time::sleep(absence * 5).await;
    assert!(!abandoned.is_finished(), "somebody reads it");
    drop(reader);
    tokio::time::sleep(absence * 2).await;
    assert!(abandoned.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_announced_absence_does_not_count_and_has_its_bound() {
    let absence = Duration::from_secs(10);
    for (announced, excused) in [
        (Duration::from_secs(15), Duration::from_secs(15)),
        (Duration::from_secs(1 << 40), MAX_EXCUSED),
    ] {
        let outbox = Arc::new(Outbox::default());
        let reader = outbox.attach();
        outbox.send_away(announced);
        assert_eq!(outbox.sent_away(), Some(announced));
        drop(reader);
        let began = TokioInstant::now();
        outbox.abandoned_unannounced(absence).await;
        let away = began.elapsed();
        let limit = excused + absence;
        assert!(
            away >= limit && away <= limit + Duration::from_secs(1),
            "{away:?}"
        );
        // Whoever has come back is excused no longer.
        drop(outbox.attach());
        let began = TokioInstant::now();
        outbox.abandoned_unannounced(absence).await;
        assert!(began.elapsed() <= absence + Duration::from_secs(1));
    }
}

#[tokio::test]
async fn what_nobody_reads_does_not_stall_and_each_piece_taken_is_progress() {
    let outbox = Arc::new(Outbox::default());
    outbox.send(vec![0; 3 * PIECE].into()).await.unwrap();
    let pause = Duration::from_millis(30);
    tokio::time::sleep(pause).await;
    assert_eq!(outbox.stalled_for(), Duration::ZERO, "nobody reads it");
    let mut reader = outbox.attach();
    tokio::time::sleep(pause).await;
    assert!(outbox.stalled_for() >= pause, "its reader takes nothing");
    let line = outbox.next().await.unwrap();
    reader.begin(line);
    for _ in 0..2 {
        tokio::time::sleep(pause).await;
        assert!(outbox.stalled_for() >= pause);
        let taking = Instant::now();
        assert_eq!(reader.piece().unwrap().len(), PIECE);
        let stalled = outbox.stalled_for();
        assert!(stalled <= taking.elapsed(), "a piece was taken");
    }
    assert!(reader.piece().is_some() && reader.piece().is_none());
    assert_eq!(outbox.stalled_for(), Duration::ZERO, "nothing waits");
}

#[tokio::test]
async fn closing_drops_what_its_reader_has_begun() {
    let outbox = Arc::new(Outbox::default());
    let mut reader = outbox.attach();
    reader.begin(vec![0; 3 * PIECE].into());
    assert!(reader.piece().is_some());
    outbox.close();
    assert!(reader.piece().is_none() && reader.left() == 2 * PIECE);
}

#[tokio::test]
async fn two_readers_never_take_pieces_of_the_same_line() {
    let outbox = Arc::new(Outbox::default());
    let mut old = outbox.attach();
    old.begin(vec![b'o'; 3 * PIECE].into());
    assert!(old.piece().is_some());
    let mut new = outbox.attach();
    assert!(new.piece().is_none() && new.left() == 0, "it began nothing");
    assert!(old.piece().is_none() && old.left() > 0, "it was followed");
    new.begin(vec![b'n'; 2 * PIECE].into());
    assert!(old.piece().is_none());
    drop(old);
    let taken: Vec<Bytes> = std::iter::from_fn(|| new.piece()).collect();
    assert_eq!(taken.concat(), vec![b'n'; 2 * PIECE]);
    assert_eq!(new.left(), 0);
}
