//! The first bytes of the store's file, by which it is judged before SQLite opens it. Knows no table.
//! <https://www.sqlite.org/fileformat2.html#the_database_header>

/// Tells this file from those of other programs: "smcp".
pub(super) const APPLICATION: i32 = 0x736d_6370;
/// What the tables are. A file of a later version is left alone, one of the first gets what it has not.
pub(super) const VERSION: i32 = 2;
/// Bytes of the header of every file of SQLite's.
pub(super) const HEADER: usize = 100;
/// What tells one state of the file from another.
pub(super) type Mark = [u8; 4];
/// What is said of a file of another program.
pub(super) const NO_STORE: &str = "it is no store of tasks; name another directory";

/// Why a file with this header is no store that this server may open. What is not even SQLite's is told by SQLite.
pub(super) fn foreign(header: &[u8; HEADER]) -> Option<String> {
    let (schema, version, application) =
        (number(header, 40), number(header, 60), number(header, 68));
    match (application, version) {
        _ if !is_sqlite(header) => None,
        (APPLICATION, ..=VERSION) => None,
        (APPLICATION, later) => Some(of_later_version(later)),
        // One that a server was killed over before it had made the tables.
        (0, 0) if schema == 0 => None,
        _ => Some(NO_STORE.to_owned()),
    }
}

/// Whether a file with this header ends within a page. SQLite would read zeros for what is missing of it.
pub(super) fn is_torn(header: &[u8; HEADER], length: u64) -> bool {
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 1 << 16,
        page => u64::from(page),
    };
    is_sqlite(header) && page > 0 && !length.is_multiple_of(page)
}

/// What is said of a file that a later version has made.
pub(super) fn of_later_version(later: i32) -> String {
    format!(
        "it was made by a later version of smcp (its tables are version {later}, this one knows {VERSION}); start that \
         one, or name another directory"
    )
}

/// The mark of a file with this header.
pub(super) fn mark(header: &[u8; HEADER]) -> Mark {
    number(header, 40).to_be_bytes()
}

/// Whether a file with this header is one of SQLite's.
pub(super) fn is_sqlite(header: &[u8; HEADER]) -> bool {
    header.starts_with(b"SQLite format 3\0")
}

fn number(header: &[u8; HEADER], at: usize) -> i32 {
    let bytes = header[at..at + 4].try_into().expect("four of them");
    i32::from_be_bytes(bytes)
}
