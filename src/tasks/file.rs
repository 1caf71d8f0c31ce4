//! The file in which tasks outlive the server: made, opened for one server alone, and judged before it is used. Knows no
//! task.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::header::{APPLICATION, HEADER, NO_STORE, VERSION, foreign, is_torn, of_later_version};
use super::journal;
use super::settings::Settings;
use super::tables::{IN_USE, check, explained, is_empty, make};

/// The file's name in its directory.
pub(super) const FILE: &str = "tasks.sqlite";
/// The name of the journal beside it.
pub(super) const JOURNAL: &str = "tasks.sqlite-wal";
/// What is said of a file of which something is missing.
const DAMAGED: &str = "it is damaged, or no store of tasks; put a copy back, or move it away to begin anew, with its \
    journal (tasks.sqlite-wal) where there is one";

/// Why something could not be kept, or could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file cannot be used.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The system refuses to read or to write.
    #[error("the store of tasks: {0}")]
    Fault(String),
    /// The disk does not answer.
    #[error("the store of tasks has not answered for {0} s")]
    Stuck(u64),
    /// There are too many tasks.
    #[error("{0}")]
    TooMany(String),
    /// What is written goes into a file that nobody can open any more.
    #[error(
        "{0} in MCP_STATE_DIR was moved, removed or replaced while the server runs; restart the server to keep results \
         again, or put the file back"
    )]
    Displaced(&'static str),
    /// The journal is not where it was, and what stood in it alone is in the file now.
    #[error(
        "{JOURNAL} in MCP_STATE_DIR was moved, removed or replaced while the server runs; what was kept until then is in \
         {FILE}; restart the server to keep results again"
    )]
    JournalDisplaced,
    /// Somebody else has written to the file, or cut it.
    #[error(
        "{0} in MCP_STATE_DIR was overwritten or cut while the server runs, and what is kept may be lost; restart the \
         server to keep results again: it opens {FILE} as it is then, and sets the journal of another file aside"
    )]
    Altered(&'static str),
    /// SQLite finds it wrong.
    #[error(
        "{FILE} in MCP_STATE_DIR is damaged ({0}); stop the server, which sets its journal ({JOURNAL}) aside, and put a \
         copy back or move it away to begin anew"
    )]
    Damaged(String),
}

impl StoreError {
    /// Whether what would be written now is lost with the server.
    pub fn takes_no_promise(&self) -> bool {
        matches!(
            self,
            Self::Displaced(_) | Self::JournalDisplaced | Self::Altered(_) | Self::Damaged(_)
        )
    }

    /// Whether only a restart mends it.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Altered(_) | Self::Damaged(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Fault(error.to_string()),
        }
    }
}

/// Which files lay in the directory when they were opened, and how this server left them.
#[derive(Debug)]
pub struct Place {
    file: Watched,
    /// None where SQLite has not made it.
    journal: Option<Watched>,
    /// None until it is watched what others do to them.
    left: Option<Left>,
}

/// One file, open for as long as SQLite has it open: to close it sooner would give up the lock of this process.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    name: &'static str,
    file: File,
    /// Its device and its inode.
    number: (u64, u64),
}

/// What only this server changes of its files.
#[derive(Debug)]
struct Left {
    length: u64,
    header: [u8; HEADER],
    journal: u64,
}

impl Place {
    fn new(file: Watched) -> Self {
        let journal = Watched::open(file.path.with_file_name(JOURNAL), JOURNAL);
        Self {
            file,
            journal: journal.ok(),
            left: None,
        }
    }

    /// Whether the same files are still there, as this server left them.
    ///
    /// # Errors
    /// [`StoreError::Displaced`]; [`StoreError::Altered`]; or the system does not say.
    pub fn check(&self) -> Result<(), StoreError> {
        self.file.check()?;
        self.journal.as_ref().map_or(Ok(()), Watched::check)?;
        self.altered()
    }

    /// Whether nobody has written to them, or cut them, since [`leave`](Self::leave).
    pub fn is_as_left(&self) -> bool {
        self.altered().is_ok()
    }

    /// Whether somebody else has written to them, or cut them.
    pub fn is_altered(&self) -> bool {
        matches!(self.altered(), Err(StoreError::Altered(_)))
    }

    /// Whether the journal is where the next server looks for it, and nothing is in it.
    pub fn begins_a_journal(&self) -> bool {
        self.check().is_ok() && self.journal_length() == Some(0)
    }

    /// Whether what is in the journal is to be put into the file.
    pub fn has_a_long_journal(&self) -> bool {
        self.journal_length() > Some(journal::MAX_BYTES)
    }

    fn journal_length(&self) -> Option<u64> {
        self.journal.as_ref()?.length().ok()
    }

    /// Gives the journal another name, unless somebody else has moved it, or there is nothing in it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_journal_aside(&self) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        if journal.check().is_err() || journal.length()? == 0 {
            return Ok(());
        }
        let aside = journal::set_aside(&journal.path).map_err(|fault| {
            let fault = journal.fault(&fault);
            tracing::error!("move it away before you put a copy of {FILE} back: {fault}");
            fault
        })?;
        tracing::warn!(
            "{} is damaged, or others have written to it: its journal was not put into it, and is {} now",
            self.file.path.display(),
            aside.display()
        );
        Ok(())
    }

    /// How they are now is how this server has left them.
    pub fn leave(&mut self) {
        if let Ok(now) = self.now() {
            self.left = Some(now);
        }
    }

    fn altered(&self) -> Result<(), StoreError> {
        let Some(left) = &self.left else {
            return Ok(());
        };
        let now = self.now()?;
        if (now.length, now.header) != (left.length, left.header) {
            return Err(StoreError::Altered(FILE));
        }
        if now.journal != left.journal {
            return Err(StoreError::Altered(JOURNAL));
        }
        Ok(())
    }

    fn now(&self) -> Result<Left, StoreError> {
        let length = self.file.length()?;
        let mut header = [0; HEADER];
        if length >= HEADER as u64 {
            let read = self.file.file.read_exact_at(&mut header, 0);
            read.map_err(|fault| self.file.fault(&fault))?;
        }
        let journal = self.journal.as_ref().map_or(Ok(0), Watched::length)?;
        Ok(Left {
            length,
            header,
            journal,
        })
    }
}

impl Watched {
    /// Opens one that is there.
    fn open(path: PathBuf, name: &'static str) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(no_waiting())
            .open(&path)?;
        let number = number(&file.metadata()?);
        Ok(Self {
            path,
            name,
            file,
            number,
        })
    }

    /// Whether it is still where it was.
    fn check(&self) -> Result<(), StoreError> {
        // SQLite follows no link that was put there since, and neither does this.
        match std::fs::symlink_metadata(&self.path) {
            Ok(about) if number(&about) == self.number => Ok(()),
            Err(fault) if !is_absent(&fault) => Err(self.fault(&fault)),
            _ => Err(StoreError::Displaced(self.name)),
        }
    }

    fn length(&self) -> Result<u64, StoreError> {
        let about = self.file.metadata();
        Ok(about.map_err(|fault| self.fault(&fault))?.len())
    }

    fn fault(&self, fault: &std::io::Error) -> StoreError {
        StoreError::Fault(format!("{}: {fault}", self.path.display()))
    }
}

fn is_absent(fault: &std::io::Error) -> bool {
    let kind = fault.kind();
    matches!(
        kind,
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

fn number(about: &std::fs::Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

/// Opens the file of a directory; both are made where they are not there.
///
/// # Errors
/// It cannot be used: another server has it, it is no store, it is damaged, it was made by a later version, it cannot be
/// written.
pub fn open(settings: &Settings) -> Result<(Connection, Place), StoreError> {
    let directory = &settings.directory;
    let path = directory.join(FILE);
    // Before it is opened: one that is put there in between is seen to be another one.
    let file = prepare(directory)?;
    let refused = |why: String| StoreError::Unusable {
        path: path.clone(),
        why,
    };
    let fault = |error| refused(explained(&error));
    let db = connected(&path).map_err(fault)?;
    let version = match identity(&db).map_err(fault)? {
        (0, 0) if is_empty(&db).unwrap_or(false) => 0,
        (APPLICATION, version @ 1..=VERSION) => {
            check(&db, version).map_err(fault)?;
            version
        }
        (APPLICATION, later) => return Err(refused(of_later_version(later))),
        _ => return Err(refused(NO_STORE.to_owned())),
    };
    bound(&db, settings).map_err(fault)?;
    if version < VERSION {
        make(&db, version).map_err(fault)?;
    }
    // With its journal, which is there by now.
    let place = Place::new(file);
    // Without room for that the journal goes on as it is.
    let _ = journal::settle(&db);
    if place.begins_a_journal() {
        let _ = journal::begin(&db);
    }
    journal::stays(&db, false).map_err(fault)?;
    Ok((db, place))
}

/// Makes the directory where it is not there, and the file, for this user alone. Says which file it is.
fn prepare(directory: &Path) -> Result<Watched, StoreError> {
    let refused = |path: &Path, error: &std::io::Error| StoreError::Unusable {
        path: path.to_owned(),
        why: format!("{error}; the server must be able to write there"),
    };
    if !directory.is_dir() {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(|error| refused(directory, &error))?;
    }
    let about = std::fs::metadata(directory).map_err(|error| refused(directory, &error))?;
    if let Some(why) = not_ours(&about) {
        let path = directory.to_owned();
        return Err(StoreError::Unusable { path, why });
    }
    let path = directory.join(FILE);
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_waiting())
        .open(&path)
        .map_err(|error| refused(&path, &error))?;
    let about = file.metadata().map_err(|error| refused(&path, &error))?;
    if !about.is_file() {
        let why = std::io::Error::other("it is no regular file");
        return Err(refused(&path, &why));
    }
    // Before anything of it changes.
    if let Err(why) = judge(&file, &path) {
        return Err(StoreError::Unusable { path, why });
    }
    if about.permissions().mode() & 0o077 != 0 {
        let own = std::fs::Permissions::from_mode(0o600);
        file.set_permissions(own)
            .map_err(|error| refused(&path, &error))?;
    }
    Ok(Watched {
        number: number(&about),
        name: FILE,
        path,
        file,
    })
}

/// Judges the file before SQLite opens it, as far as its first bytes and its length say. A journal that belongs to another
/// file is set aside.
///
/// # Errors
/// Why SQLite is not to open it.
fn judge(file: &File, path: &Path) -> Result<(), String> {
    let journal = path.with_file_name(JOURNAL);
    if has_content(&journal) {
        // Nobody else writes what is judged now. The lock ends with those that SQLite takes.
        let whole = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::fcntl_lock(file, whole).map_err(|fault| match fault {
            rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS => IN_USE.to_owned(),
            _ => format!("{fault}; the server must be able to lock it"),
        })?;
    }
    let unreadable = |fault| format!("{fault}; the server must be able to read it");
    let length = file.metadata().map_err(unreadable)?.len();
    let mut header = [0; HEADER];
    if length > 0 {
        let read = file.read_exact_at(&mut header, 0);
        // SQLite takes a file that is shorter than its header for an empty one: it would write over it.
        read.map_err(|fault| match fault.kind() {
            std::io::ErrorKind::UnexpectedEof => DAMAGED.to_owned(),
            _ => unreadable(fault),
        })?;
    }
    if let Some(why) = foreign(&header) {
        return Err(why);
    }
    // What a server had written last when it was killed. SQLite puts it into the file, whose end may be missing until then.
    let mut has_journal = has_content(&journal);
    // SQLite makes a file before its journal, and would remove the journal of an empty one.
    if has_journal && (length == 0 || !journal::belongs(&header, &journal, no_waiting())) {
        let aside = journal::set_aside(&journal).map_err(|fault| {
            format!("{JOURNAL} beside it belongs to another file; move it away: {fault}")
        })?;
        tracing::warn!(
            "{} does not belong to {} beside it, and was not applied: it is {} now",
            journal.display(),
            path.display(),
            aside.display()
        );
        has_journal = false;
    }
    match !has_journal && is_torn(&header, length) {
        true => Err(DAMAGED.to_owned()),
        false => Ok(()),
    }
}

fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.len() > 0)
}

/// Why others could put a file of theirs in the place of the store. A directory of the administrator is as good as an
/// own one, and its group may write there: volumes of containers are made so.
fn not_ours(directory: &std::fs::Metadata) -> Option<String> {
    let (owner, own) = (directory.uid(), rustix::process::geteuid().as_raw());
    let what_to_do = "name a directory in it: the server makes it for itself";
    if directory.mode() & 0o002 != 0 {
        return Some(format!(
            "everybody can write there; run chmod o-w, or {what_to_do}"
        ));
    }
    (owner != 0 && owner != own)
        .then(|| format!("it belongs to another user ({owner}, the server runs as {own}); run chown, or name another one"))
}

/// What lies in its place may be a pipe that nobody reads.
fn no_waiting() -> i32 {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    flags.bits().cast_signed()
}

/// The file, for this server alone. Nothing is written to it, unless it is empty: it is not judged yet.
fn connected(path: &Path) -> Result<Connection, rusqlite::Error> {
    let is_empty = std::fs::metadata(path).is_ok_and(|about| about.len() == 0);
    let db = Connection::open(path)?;
    db.busy_timeout(std::time::Duration::ZERO)?;
    // A file that is refused stays as it is, and so does what belongs to it.
    journal::stays(&db, has_content(&path.with_file_name(JOURNAL)))?;
    // Locked for as long as it is open; before the first page is read, so that a journal of a server that was killed is
    // taken up by one alone.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    if is_empty {
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    Ok(db)
}

/// How the file is written, and how large it may become.
fn bound(db: &Connection, settings: &Settings) -> Result<(), rusqlite::Error> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    // What a client was told is on the disk.
    db.pragma_update(None, "synchronous", "FULL")?;
    // The store does it, and begins each journal with a mark.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let most = i64::try_from(settings.max_bytes).unwrap_or(i64::MAX / 4);
    let most = most.saturating_mul(2).saturating_add(64 << 20) / page.max(512);
    db.pragma_update(None, "max_page_count", most)
}

fn identity(db: &Connection) -> Result<(i32, i32), rusqlite::Error> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}
