//! The socket between the server and a warm interpreter: one packet is one message, descriptors beside it.
//!
//! Knows no message.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::super::wire;

/// The largest packet that is read.
const MAX_PACKET: usize = 64 << 10;

/// The server's end.
#[derive(Debug)]
pub(super) struct Packets(AsyncFd<OwnedFd>);

impl Packets {
    /// Both ends. The other one waits when it is read, as programs expect.
    ///
    /// # Errors
    /// A shortage of descriptors.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(AsyncFd::register(ours)?), theirs))
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// The other end is closed, or the packet is larger than the system takes.
    pub(super) async fn send(
        &self,
        packet: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sending = self.0.async_io(Interest::WRITABLE, |socket| {
            wire::send_with_descriptors(socket, packet, descriptors, flags)
        });
        sending.await.map(|_| ())
    }

    /// The next packet.
    ///
    /// # Errors
    /// `UnexpectedEof` when there will be none.
    pub(super) async fn receive(&self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; MAX_PACKET];
        let receiving = self.0.async_io(Interest::READABLE, |socket| {
            let (received, _) = recv(socket.as_fd(), &mut packet[..], RecvFlags::DONTWAIT)?;
            Ok(received)
        });
        let received = receiving.await?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        packet.truncate(received);
        Ok(packet)
    }
}
