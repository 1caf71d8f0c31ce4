//! A supervisor's end of the socket between it and the server.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// The control socket, which is descriptor 0 for the whole life of the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket;

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.as_fd(), buffer)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self.as_fd(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
