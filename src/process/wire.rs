//! The protocol between the server and a supervisor: orders and commands down, reports up.
//!
//! Knows no process, no task and no runtime: bytes and descriptors in, bytes and descriptors out.
//! The ends are one binary, and the Python files inside it read the orders of lanes, so the format carries no version.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::job::Keep;

/// The first argument of a supervisor.
pub(super) const MARKER: &str = "__supervise";

/// SIGTERM to the tree now, SIGKILL after [`super::watch::TERMINATE_GRACE`].
pub(super) const TERMINATE: u8 = b't';

/// SIGKILL to the tree now.
pub(super) const KILL: u8 = b'k';

/// Asks for [`Report::Alive`].
pub(super) const PING: u8 = b'p';

/// SIGKILL to every process that has come to the supervisor while its program runs, asked for until none is
/// left; [`Report::Swept`] answers. For a program that is a warm interpreter.
pub(super) const SWEEP: u8 = b'w';

/// The word by which a supervisor is told that a warm interpreter has started it.
pub(super) const LANE: &str = "lane";

/// Above this no system passes arguments to a program; it also bounds what a supervisor allocates.
const MAX_BODY: usize = 64 << 20;

const HAS_DIRECTORY: u16 = 1;
const HAS_STDIN: u16 = 2;
const HAS_EVENTS: u16 = 4;
const KEEP_DETACHED: u16 = 8;
const KEEP_EVERYTHING: u16 = 16;
const HAS_EVENTS_HELD: u16 = 32;
const WARM: u16 = 64;
const REUSE: u16 = 128;
const IS_NEST: u16 = 256;

/// stdout, stderr, stdin, both ends of the events channel.
const MAX_DESCRIPTORS: usize = 5;

/// Body length, number of arguments, flags.
const HEADER: usize = 4 + 4 + 2;

/// How a program comes to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Start {
    /// Executed.
    #[default]
    Cold,
    /// Forked from the warm interpreter that started the supervisor, or executed where that fails.
    Warm {
        /// In a process that runs one after the other.
        reuse: bool,
    },
    /// Executed, and itself a warm interpreter: nothing outlives it.
    Nest,
}

impl Start {
    fn flags(self) -> u16 {
        match self {
            Self::Cold => 0,
            Self::Warm { reuse: false } => WARM,
            Self::Warm { reuse: true } => WARM | REUSE,
            Self::Nest => IS_NEST,
        }
    }

    fn of(flags: u16) -> Self {
        if flags & IS_NEST != 0 {
            Self::Nest
        } else if flags & WARM != 0 {
            Self::Warm {
                reuse: flags & REUSE != 0,
            }
        } else {
            Self::Cold
        }
    }
}

/// What a supervisor reports, in the order in which it can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The program runs.
    Started,
    /// It could not be started, by this errno; nothing else follows.
    Failed(i32),
    /// The program, which has started, and all that it started wait. Reported once at most.
    Waits,
    /// The program exited with this status.
    Exited(i32),
    /// The program was ended by this signal.
    Signalled(i32),
    /// So many processes that the program left behind are being ended.
    Leftovers(i32),
    /// So many processes live on after the program's end, which has been reported or follows next. All
    /// others are gone.
    Kept(i32),
    /// The answer to [`PING`].
    Alive,
    /// So many processes of the tree still live although they were sent SIGKILL. Repeated every
    /// second or so.
    Unkillable(i32),
    /// The first word of a supervisor that a warm interpreter has started, with its process number.
    Lane(i32),
    /// The warm interpreter could not start the program; it is executed.
    FellBack,
    /// This supervisor can take no further order. [`Report::Done`] follows.
    Spent,
    /// Nothing is left of what [`SWEEP`] ends.
    Swept,
    /// No process of the tree is left; nothing else follows.
    Done,
}

impl Report {
    /// Every report has this many bytes.
    pub(super) const SIZE: usize = 5;

    pub(super) fn encode(self) -> [u8; Self::SIZE] {
        let (tag, value) = match self {
            Self::Started => (b's', 0),
            Self::Failed(errno) => (b'f', errno),
            Self::Waits => (b'w', 0),
            Self::Exited(status) => (b'x', status),
            Self::Signalled(signal) => (b'k', signal),
            Self::Leftovers(processes) => (b'l', processes),
            Self::Kept(processes) => (b'b', processes),
            Self::Alive => (b'a', 0),
            Self::Unkillable(processes) => (b'u', processes),
            Self::Lane(pid) => (b'L', pid),
            Self::FellBack => (b'B', 0),
            Self::Spent => (b'S', 0),
            Self::Swept => (b'W', 0),
            Self::Done => (b'd', 0),
        };
        let [a, b, c, d] = value.to_le_bytes();
        [tag, a, b, c, d]
    }

    /// `None` for bytes that no supervisor writes.
    pub(super) fn decode([tag, a, b, c, d]: [u8; Self::SIZE]) -> Option<Self> {
        let value = i32::from_le_bytes([a, b, c, d]);
        match tag {
            b's' => Some(Self::Started),
            b'f' => Some(Self::Failed(value)),
            b'w' => Some(Self::Waits),
            b'x' => Some(Self::Exited(value)),
            b'k' => Some(Self::Signalled(value)),
            b'l' => Some(Self::Leftovers(value)),
            b'b' => Some(Self::Kept(value)),
            b'a' => Some(Self::Alive),
            b'u' => Some(Self::Unkillable(value)),
            b'L' => Some(Self::Lane(value)),
            b'B' => Some(Self::FellBack),
            b'S' => Some(Self::Spent),
            b'W' => Some(Self::Swept),
            b'd' => Some(Self::Done),
            _ => None,
        }
    }
}

/// Why an order cannot be put into bytes.
#[derive(Debug)]
pub(super) enum Unsendable {
    /// A text of it holds a NUL, which ends every text that a program is given.
    Nul(String),
    /// No system takes that much.
    TooLarge,
}

/// Which descriptors travel with an order besides stdout and stderr, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Announced {
    /// The program's stdin.
    pub(super) stdin: bool,
    /// The program's end of its events channel.
    pub(super) events: bool,
    /// The other end of it.
    pub(super) events_held: bool,
}

impl Announced {
    fn flags(self) -> u16 {
        let all = [
            (self.stdin, HAS_STDIN),
            (self.events, HAS_EVENTS),
            (self.events_held, HAS_EVENTS_HELD),
        ];
        all.iter()
            .filter(|(announced, _)| *announced)
            .fold(0, |flags, (_, flag)| flags | flag)
    }
}

/// The order as bytes. Its descriptors travel beside the first of them: stdout, stderr, and those that are
/// announced.
pub(super) fn encode_order(
    argv: &[OsString],
    environment: &[(OsString, OsString)],
    directory: Option<&Path>,
    announced: Announced,
    keep: Keep,
    start: Start,
) -> Result<Vec<u8>, Unsendable> {
    let texts = || {
        let variables = environment.iter().flat_map(|(name, value)| [name, value]);
        directory
            .map(Path::as_os_str)
            .into_iter()
            .chain(argv.iter().chain(variables).map(OsString::as_os_str))
    };
    let length: usize = texts().map(|text| text.len() + 1).sum();
    if length > MAX_BODY {
        return Err(Unsendable::TooLarge);
    }
    let number = |n: usize| {
        u32::try_from(n)
            .expect("there are no more texts than bytes, and those are bounded")
            .to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.extend(number(length));
    bytes.extend(number(argv.len()));
    let kept = match keep {
        Keep::Nothing => 0,
        Keep::Detached => KEEP_DETACHED,
        Keep::Everything => KEEP_EVERYTHING,
    };
    let directory_flag = directory.map_or(0, |_| HAS_DIRECTORY);
    let flags = directory_flag | announced.flags() | kept | start.flags();
    bytes.extend(flags.to_le_bytes());
    for text in texts() {
        if text.as_bytes().contains(&0) {
            return Err(Unsendable::Nul(text.to_string_lossy().into_owned()));
        }
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    Ok(bytes)
}

/// Sends as much of the order as fits without waiting, the descriptors with its first byte.
pub(super) fn send_order(
    socket: impl AsFd,
    order: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    send_with_descriptors(socket, order, descriptors, flags)
}

/// Sends once, the descriptors with the first byte.
pub(super) fn send_with_descriptors(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fits = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    debug_assert!(fits, "there is space for every kind of descriptor");
    let bytes = [IoSlice::new(bytes)];
    Ok(sendmsg(socket, &bytes, &mut ancillary, flags)?)
}

/// The same, and waits until a part of it fits.
pub(super) fn send_order_blocking(
    socket: impl AsFd,
    order: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    send_with_descriptors(socket, order, descriptors, SendFlags::NOSIGNAL)
}

/// An order as the supervisor received it.
#[derive(Debug)]
pub(super) struct Order {
    body: Vec<u8>,
    arguments: usize,
    has_directory: bool,
    /// How its program comes to run.
    pub(super) start: Start,
    /// What may live on when the program has ended with success.
    pub(super) keep: Keep,
    /// The program's stdout.
    pub(super) stdout: OwnedFd,
    /// The program's stderr.
    pub(super) stderr: OwnedFd,
    /// The program's stdin; `None` is `/dev/null`.
    pub(super) stdin: Option<OwnedFd>,
    /// The program's descriptor 3, its events channel.
    pub(super) events: Option<OwnedFd>,
    /// The other end of that channel, to be kept open while a process of the program is left.
    pub(super) events_held: Option<OwnedFd>,
}

impl Order {
    /// Waits for the order. `UnexpectedEof` means that the server is gone.
    pub(super) fn receive(mut socket: impl AsFd + Read) -> io::Result<Self> {
        let mut header = [0; HEADER];
        let (received, descriptors) = receive_with_descriptors(&socket, &mut header)?;
        socket.read_exact(&mut header[received..])?;
        let [a, b, c, d, e, f, g, h, i, j] = header;
        let flags = u16::from_le_bytes([i, j]);
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > MAX_BODY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body)?;

        let mut descriptors = descriptors.into_iter();
        // The system drops descriptors for which the process has no room.
        let mut next = || descriptors.next().ok_or(Errno::MFILE);
        Ok(Self {
            stdout: next()?,
            stderr: next()?,
            stdin: (flags & HAS_STDIN != 0).then(&mut next).transpose()?,
            events: (flags & HAS_EVENTS != 0).then(&mut next).transpose()?,
            events_held: (flags & HAS_EVENTS_HELD != 0).then(&mut next).transpose()?,
            body,
            arguments: u32::from_le_bytes([e, f, g, h]) as usize,
            has_directory: flags & HAS_DIRECTORY != 0,
            start: Start::of(flags),
            keep: match flags & (KEEP_DETACHED | KEEP_EVERYTHING) {
                0 => Keep::Nothing,
                KEEP_DETACHED => Keep::Detached,
                _ => Keep::Everything,
            },
        })
    }

    /// The program and its arguments.
    pub(super) fn argv(&self) -> impl Iterator<Item = &OsStr> {
        self.texts()
            .skip(usize::from(self.has_directory))
            .take(self.arguments)
    }

    /// The program's environment.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let mut texts = self
            .texts()
            .skip(usize::from(self.has_directory) + self.arguments);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }

    /// The program's working directory.
    pub(super) fn directory(&self) -> Option<&OsStr> {
        self.texts().next().filter(|_| self.has_directory)
    }

    /// The order as it goes on to the process that runs it: without what the supervisor keeps for itself.
    pub(super) fn passed_on(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let announced = Announced {
            stdin: self.stdin.is_some(),
            events: self.events.is_some(),
            events_held: false,
        };
        let directory_flag = if self.has_directory { HAS_DIRECTORY } else { 0 };
        let flags = directory_flag | announced.flags() | self.start.flags();
        let mut bytes = Vec::with_capacity(HEADER + self.body.len());
        bytes.extend(number(self.body.len()));
        bytes.extend(number(self.arguments));
        bytes.extend(flags.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        let mut descriptors = vec![self.stdout.as_fd(), self.stderr.as_fd()];
        descriptors.extend(self.stdin.iter().map(AsFd::as_fd));
        descriptors.extend(self.events.iter().map(AsFd::as_fd));
        (bytes, descriptors)
    }

    fn texts(&self) -> impl Iterator<Item = &OsStr> {
        self.body
            .split_inclusive(|byte| *byte == 0)
            .map(|text| OsStr::from_bytes(&text[..text.len() - 1]))
    }
}

fn receive_with_descriptors(
    socket: impl AsFd,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    let message = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    #[cfg(not(target_os = "linux"))]
    for descriptor in &descriptors {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::MFILE.into());
    }
    Ok((message.bytes, descriptors))
}

#[cfg(test)]
mod tests;
