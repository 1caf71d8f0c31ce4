//! Secrets out of files: named by a variable, or handed over by the service manager.
//!
//! A secret `NAME` is looked for in the variable `NAME`, in the file that `NAME_FILE` names, and in the file `NAME` of
//! `$CREDENTIALS_DIRECTORY`, where systemd puts what `LoadCredential=` loads. The first that has one counts.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::reader::Reader;

/// More than any list of keys, in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// The permission to write for the group and for others.
const WRITE_FOR_MORE: u32 = 0o022;
/// The permission to read for others.
const READ_FOR_ALL: u32 = 0o004;

/// The names of one secret.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The variable that has it, and its credential.
    pub variable: &'static str,
    /// The variable that names a file with it.
    pub file: &'static str,
}

/// A secret that was found. Never empty.
#[derive(Clone)]
pub struct Found {
    /// Where, as messages name it.
    pub place: String,
    /// The secret, without white space around it.
    pub text: String,
    /// The file that it was read from, if it was.
    pub file: Option<SecretFile>,
}

/// A file with a secret in it, which can be read again.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// As messages name it.
    place: String,
    path: PathBuf,
    /// Whether its permissions say anything: the service manager sets them for its own files.
    judged: bool,
}

/// What was read from a file.
pub struct Content {
    /// Without white space around it; may be empty.
    pub text: String,
    /// What a person should know of the file.
    pub warning: Option<String>,
}

impl SecretFile {
    /// Reads it as it is now.
    ///
    /// # Errors
    /// It cannot be read, is too large or no text, or others may write to it. The message never has its content.
    pub fn read(&self) -> Result<Content, String> {
        let place = &self.place;
        let unreadable = |error: std::io::Error| {
            format!(
                "{place} cannot be read ({error}); let the user that smcp runs as read it: chown it to that user and chmod 400"
            )
        };
        // A pipe would be waited for.
        let about = std::fs::metadata(&self.path).map_err(unreadable)?;
        if !about.is_file() {
            return Err(format!(
                "{place} is no regular file; write the secret into one"
            ));
        }
        let mode = about.permissions().mode() & 0o777;
        if self.judged && mode & WRITE_FOR_MORE != 0 {
            return Err(format!(
                "{place} can be changed by other users (mode {mode:o}), who could put a secret of their own into it; chmod 600"
            ));
        }
        let mut text = String::new();
        let file = std::fs::File::open(&self.path).map_err(unreadable)?;
        let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
        match read {
            Ok(_) if text.len() as u64 > MAX_BYTES => {
                return Err(format!(
                    "{place} is larger than {} KiB, which no secret is; name the file that has it",
                    MAX_BYTES >> 10
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(format!(
                    "{place} is not valid UTF-8; write the secret into it as text"
                ));
            }
            Err(error) => return Err(unreadable(error)),
        }
        let open = self.judged && mode & READ_FOR_ALL != 0;
        Ok(Content {
            text: text.trim().to_owned(),
            warning: open.then(|| {
                format!(
                    "{place} can be read by every user of this machine (mode {mode:o}); chmod 600"
                )
            }),
        })
    }
}

/// Looks for a secret in its three places. What is wrong with a place is a fault: whoever names one means to use it.
pub fn find(reader: &mut Reader, names: Names) -> Option<Found> {
    let given = reader.text(names.variable);
    let file = reader.path(names.file);
    let credentials = reader.path("CREDENTIALS_DIRECTORY");
    let credential = credentials
        .map(|directory| directory.join(names.variable))
        .filter(|path| path.exists());
    if given.is_some() && file.is_some() {
        reader.faults.push(format!(
            "{} and {} are both set; leave one of them out",
            names.variable, names.file
        ));
        return None;
    }
    if let Some(text) = given {
        return Some(Found {
            place: names.variable.to_owned(),
            text,
            file: None,
        });
    }
    let file = match (file, credential) {
        (Some(path), _) => SecretFile {
            place: format!("{}: '{}'", names.file, path.display()),
            path,
            judged: true,
        },
        (None, Some(path)) => SecretFile {
            place: format!("the credential {}", names.variable),
            path,
            judged: false,
        },
        (None, None) => return None,
    };
    let content = match file.read() {
        Ok(content) => content,
        Err(fault) => {
            reader.faults.push(fault);
            return None;
        }
    };
    reader.notices.extend(content.warning);
    if content.text.is_empty() {
        let there = match file.judged {
            true => "it",
            false => "the file that LoadCredential= names in the unit",
        };
        reader.mistakes.push(format!(
            "{} is empty and has no effect; write the secret into {there}",
            file.place
        ));
        return None;
    }
    Some(Found {
        place: file.place.clone(),
        text: content.text,
        file: Some(file),
    })
}

#[cfg(test)]
mod tests;
