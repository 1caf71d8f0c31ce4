//! The two sockets of a lane's supervisor: to its forker, and to the process that is forked for a call.
//!
//! Knows nothing of what goes over them, but that the forker tells numbers.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::socket::Socket;

/// A number on one of the sockets.
pub(super) const NUMBER: usize = 4;

#[derive(Debug)]
pub(super) struct Sockets {
    /// To the forker, which tells its children's numbers and how they ended.
    pub(super) control: UnixStream,
    /// To the forked process.
    pub(super) orders: UnixStream,
}

/// Which of the sockets can be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) control: bool,
    pub(super) orders: bool,
}

impl Sockets {
    /// Which can be read at this moment, or become so within `limit`. None of them when the limit is over or the
    /// server is gone.
    pub(super) fn look(&self, limit: Duration) -> io::Result<Ready> {
        let limit = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
        let mut sources = [
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::new(&self.orders, PollFlags::IN),
            // Its end alone.
            PollFd::new(&Socket, PollFlags::empty()),
        ];
        match poll(&mut sources, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(fault) => return Err(fault.into()),
        }
        let [control, orders, _] = sources.map(|source| !source.revents().is_empty());
        Ok(Ready { control, orders })
    }

    /// Waits until one of them can be read.
    pub(super) fn wait(&self, deadline: Instant) -> io::Result<Ready> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ready = self.look(left)?;
            if ready.control || ready.orders {
                return Ok(ready);
            }
            if left.is_zero() || server_is_gone() {
                return Err(Errno::TIMEDOUT.into());
            }
        }
    }

    pub(super) fn wait_for_control(&self, deadline: Instant) -> io::Result<()> {
        while !self.control_is_ready()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || server_is_gone() {
                return Err(Errno::TIMEDOUT.into());
            }
            let limit = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            let mut sources = [
                PollFd::new(&self.control, PollFlags::IN),
                PollFd::new(&Socket, PollFlags::empty()),
            ];
            match poll(&mut sources, Some(&limit)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    pub(super) fn control_is_ready(&self) -> io::Result<bool> {
        Ok(self.look(Duration::ZERO)?.control)
    }
}

fn server_is_gone() -> bool {
    let mut server = [PollFd::new(&Socket, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut server, Some(&now)).is_ok_and(|ready| ready > 0)
}

pub(super) fn read_number(socket: &mut UnixStream) -> io::Result<i32> {
    let mut number = [0; NUMBER];
    socket.read_exact(&mut number)?;
    Ok(i32::from_le_bytes(number))
}
