//! The socket between the server and a warm interpreter: one packet is one message, descriptors beside it.
//!
//! Knows no message.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, socketpair};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::super::wire;

/// The largest packet, in bytes. The interpreter reads no larger one either.
pub(super) const MAX_PACKET: usize = 64 << 10;

/// The server's end. It is no stream, but the runtime waits for both in the same way.
#[derive(Debug)]
pub(super) struct Packets(UnixStream);

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
        let ours = StdUnixStream::from(ours);
        ours.set_nonblocking(true)?;
        Ok((Self(UnixStream::from_std(ours)?), theirs))
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
        let sending = self.0.async_io(Interest::WRITABLE, || {
            wire::send_with_descriptors(&self.0, packet, descriptors, flags)
        });
        sending.await.map(|_| ())
    }

    /// The next packet.
    ///
    /// # Errors
    /// `UnexpectedEof` when there will be none, `InvalidData` for one that is too large.
    pub(super) async fn receive(&self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; MAX_PACKET];
        let receiving = self.0.async_io(Interest::READABLE, || {
            // Its length, also of one that did not fit.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let (_, length) = recv(&self.0, &mut packet[..], flags)?;
            Ok(length)
        });
        let received = receiving.await?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if received > MAX_PACKET {
            let what = format!("a packet of {received} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        packet.truncate(received);
        Ok(packet)
    }

    /// Takes what has come and nobody waits for.
    pub(super) fn discard(&self) {
        let mut packet = [0; 1];
        while matches!(
            recv(&self.0, &mut packet[..], RecvFlags::DONTWAIT),
            Ok((1.., _))
        ) {}
    }
}
