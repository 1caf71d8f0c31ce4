//! Runs whose supervisor is played: what becomes of its socket after the run.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;

use super::super::pool::{Commands, Process, Reports, channels};
use super::*;

/// A supervisor's process that only notes whether it was given back.
#[derive(Debug, Default)]
struct Played {
    is_given_back: AtomicBool,
}

impl Process for Played {
    fn pid(&self) -> Pid {
        rustix::process::getpid()
    }

    fn kill(&self) {}

    fn gone(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn end_tree(self: Arc<Self>) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }

    fn unkillable(&self) -> usize {
        0
    }

    fn take_back(self: Arc<Self>, _: Reports, _: Commands) -> BoxFuture<'static, ()> {
        self.is_given_back.store(true, Ordering::Relaxed);
        async {}.boxed()
    }
}

fn job() -> Job {
    Job {
        argv: vec!["/bin/true".into()],
        environment: Vec::new(),
        directory: None,
        stdin: None,
        time_limit: None,
        stdout_limit: 0,
        stderr_tail: 0,
        background: None,
        warm: None,
    }
}

/// A run of a program without output, with the other end of its supervisor's socket.
fn run(process: &Arc<Played>, sweeps: Sweeps) -> (Run, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    let (reports, commands) = channels(ours).expect("a runtime");
    let (stderr, _) = io::pipe().expect("a pipe");
    let stderr = tokio::net::unix::pipe::Receiver::from_owned_fd(stderr.into()).expect("a pipe");
    let supervisor = Supervisor {
        process: Arc::clone(process) as Arc<dyn Process>,
        reports,
        commands,
    };
    let pipes = Pipes {
        stdin: Stdin::new(None, Vec::new()),
        stdout: Stdout::absent(),
        stderr: Stderr::new(stderr, 0, None),
    };
    let leftovers = Leftovers::default();
    let busy = Busy::new((), None);
    let run = Run::new(&job(), supervisor, sweeps, pipes, leftovers, busy);
    (run, theirs)
}

/// Plays `supervisor`: it answers the command only if `answers`, and then its program ends.
fn play(mut supervisor: UnixStream, command: u8, answer: Option<Report>) -> io::Result<()> {
    supervisor.write_all(&Report::Started.encode())?;
    let mut come = [0];
    let flags = rustix::net::RecvFlags::PEEK;
    rustix::net::recv(&supervisor, &mut come, flags)?;
    assert_eq!(come, [command]);
    let answer = answer.map(Report::encode);
    supervisor.write_all(answer.as_ref().map_or(&[], |bytes| bytes.as_slice()))?;
    supervisor.write_all(&Report::Exited(0).encode())?;
    supervisor.write_all(&Report::Done.encode())?;
    // The end of the socket would be a lost supervisor.
    let _ = rustix::net::recv(&supervisor, &mut [0; 2], rustix::net::RecvFlags::WAITALL);
    Ok(())
}

/// Whether a supervisor is kept for another run that was sent this command and gave this answer.
async fn is_given_back(command: u8, answer: Option<Report>) -> bool {
    let process = Arc::new(Played::default());
    let (ask, sweeps) = Sweeps::open();
    let (mut run, supervisor) = run(&process, sweeps);
    let playing = std::thread::spawn(move || play(supervisor, command, answer));
    let (sweep, _swept) = oneshot::channel();
    if command == wire::SWEEP {
        ask.send(sweep).await.expect("the run takes it");
    } else {
        run.progress.started = true;
        run.look_for_life();
    }
    let cancel = CancellationToken::new();
    let (mut caller, _answer) = oneshot::channel::<Result<Finished, ()>>();
    let time = TimeLimit::new(None, None);
    let known = run.until_known(time, &cancel, &mut caller).await;
    assert_eq!(known.expect("it ran").ending, Ending::Exited(0));
    run.until_tree_is_gone().await;
    run.release_supervisor().await;
    playing
        .join()
        .expect("no panic")
        .expect("the socket is open");
    process.is_given_back.load(Ordering::Relaxed)
}

/// A command that the supervisor has not read would be read as the beginning of the next order.
#[tokio::test]
async fn a_supervisor_is_kept_only_when_no_command_can_lie_unread_in_its_socket() {
    assert!(is_given_back(wire::SWEEP, Some(Report::Swept)).await);
    assert!(!is_given_back(wire::SWEEP, None).await);
    assert!(is_given_back(wire::PING, Some(Report::Alive)).await);
    assert!(!is_given_back(wire::PING, None).await);
}
