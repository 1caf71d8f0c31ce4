use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;

use super::*;

fn travelled(order: &[u8], more: &[BorrowedFd<'_>]) -> io::Result<Order> {
    let (mut server, supervisor) = UnixStream::pair().expect("a socket pair");
    let null = File::open("/dev/null").expect("there is a null device");
    let descriptors = [&[null.as_fd(), null.as_fd()], more].concat();
    let sent = send_order(&server, order, &descriptors).expect("the first bytes fit");
    let rest = order[sent..].to_vec();
    let writer = std::thread::spawn(move || server.write_all(&rest));
    let order = Order::receive(&supervisor);
    writer
        .join()
        .expect("the writer does not panic")
        .expect("all is read");
    order
}

/// An order to run `program` cold, with nothing announced but these descriptors.
fn order_of(announced: Announced) -> Vec<u8> {
    encode_order(
        &["program".into()],
        &[],
        None,
        announced,
        Keep::Nothing,
        Start::Cold,
    )
    .expect("no NUL in it")
}

#[test]
fn an_order_keeps_every_byte_but_nul() {
    let any = OsString::from_vec((1..=255).collect());
    let argv = [OsString::from("/bin/true"), OsString::new(), any.clone()];
    let environment = [("A".into(), any.clone()), ("EMPTY".into(), OsString::new())];
    let bytes = encode_order(
        &argv,
        &environment,
        Some(Path::new("/tmp")),
        Announced::default(),
        Keep::Nothing,
        Start::Cold,
    )
    .expect("no NUL in it");
    let order = travelled(&bytes, &[]).expect("a whole order");
    assert_eq!(order.argv().collect::<Vec<_>>(), argv);
    let received: Vec<_> = order.environment().collect();
    assert_eq!(
        received,
        [
            (OsStr::new("A"), any.as_os_str()),
            (OsStr::new("EMPTY"), OsStr::new(""))
        ]
    );
    assert_eq!(order.directory(), Some(OsStr::new("/tmp")));
    assert!(order.stdin.is_none() && order.events.is_none());
}

#[test]
fn an_order_larger_than_the_socket_buffer_arrives_whole() {
    let argv = [OsString::from("p"), "x".repeat(5 << 20).into()];
    let bytes = encode_order(
        &argv,
        &[],
        None,
        Announced::default(),
        Keep::Nothing,
        Start::Cold,
    )
    .expect("no NUL in it");
    let order = travelled(&bytes, &[]).expect("a whole order");
    assert_eq!(order.argv().collect::<Vec<_>>(), argv);
    assert_eq!(order.directory(), None);
    assert_eq!(order.environment().count(), 0);
}

#[test]
fn descriptors_arrive_in_their_places() {
    let null = File::open("/dev/null").expect("there is a null device");
    let announced = Announced {
        events: true,
        events_held: true,
        ..Announced::default()
    };
    let bytes = order_of(announced);
    let order = travelled(&bytes, &[null.as_fd(), null.as_fd()]).expect("a whole order");
    assert!(order.stdin.is_none() && order.events_held.is_some());
    let events = order.events.expect("it was sent");
    let flags = rustix::io::fcntl_getfd(events).expect("it is open");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_descriptor_that_is_missing_is_a_lack_of_descriptors() {
    let announced = Announced {
        stdin: true,
        ..Announced::default()
    };
    let bytes = order_of(announced);
    let lacking = travelled(&bytes, &[]).expect_err("stdin was announced");
    assert_eq!(lacking.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
}

#[test]
fn what_may_live_on_travels_beside_the_other_flags() {
    let null = File::open("/dev/null").expect("there is a null device");
    for keep in [Keep::Nothing, Keep::Detached, Keep::Everything] {
        let directory = Some(Path::new("/tmp"));
        let announced = Announced {
            stdin: true,
            events: true,
            events_held: true,
        };
        let bytes = encode_order(&["p".into()], &[], directory, announced, keep, Start::Cold);
        let bytes = bytes.expect("no NUL in it");
        let three = [null.as_fd(), null.as_fd(), null.as_fd()];
        let order = travelled(&bytes, &three).expect("a whole order");
        assert_eq!(order.keep, keep);
        assert!(order.stdin.is_some() && order.events.is_some());
        assert_eq!(order.directory(), Some(OsStr::new("/tmp")));
    }
}

#[test]
fn a_text_with_a_nul_is_refused() {
    let refused = encode_order(
        &["p".into(), "a\0b".into()],
        &[],
        None,
        Announced::default(),
        Keep::Nothing,
        Start::Cold,
    );
    assert!(matches!(refused, Err(Unsendable::Nul(text)) if text == "a\0b"));
}

#[test]
fn an_order_cut_short_means_that_the_server_is_gone() {
    let bytes = order_of(Announced::default());
    let cut = travelled(&bytes[..bytes.len() - 3], &[]).expect_err("three bytes are missing");
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn every_report_reads_back_as_it_was_written() {
    for report in [
        Report::Started,
        Report::Failed(7),
        Report::Exited(255),
        Report::Signalled(9),
        Report::Leftovers(2),
        Report::Kept(1),
        Report::Alive,
        Report::Unkillable(3),
        Report::Lane(4),
        Report::FellBack,
        Report::Spent,
        Report::Swept,
        Report::Done,
    ] {
        assert_eq!(Report::decode(report.encode()), Some(report));
    }
    assert_eq!(Report::decode(*b"?0000"), None);
}
