//! Secrets out of files: named by a variable, or handed over by the service manager.
//!
//! A secret `NAME` is looked for in the variable `NAME`, in the file that `NAME_FILE` names, and in the file `NAME` of
//! `$CREDENTIALS_DIRECTORY`, where systemd puts what `LoadCredential=` loads. The first that has one counts.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::given::Origin;
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

/// Where a secret is.
pub enum Place {
    /// In its variable, or in a settings file.
    Text(Text),
    /// In a file, which may have none.
    File(SecretFile),
}

/// A secret that was given, never empty.
pub struct Text {
    /// Where, as messages name it.
    pub place: String,
    /// The secret.
    pub text: String,
}

/// A file with a secret in it, which can be read again.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// As messages name it.
    place: String,
    path: PathBuf,
    /// Whether the service manager has handed it over. It sets the permissions of such files itself.
    is_credential: bool,
}

/// What was read from a file.
pub struct Content {
    /// Without white space around it; may be empty.
    pub text: String,
    /// What a person should know of the file.
    pub warning: Option<String>,
}

impl SecretFile {
    /// As messages name it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether the service manager has handed it over.
    pub fn is_credential(&self) -> bool {
        self.is_credential
    }

    /// Where a person writes what is to be read from it, as messages name that.
    pub fn where_to_write(&self) -> &'static str {
        match self.is_credential {
            true => "the file that LoadCredential= names in the unit",
            false => "it",
        }
    }

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
        if !self.is_credential && mode & WRITE_FOR_MORE != 0 {
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
        let open = !self.is_credential && mode & READ_FOR_ALL != 0;
        Ok(Content {
            // Some editors begin a file with a mark of its encoding.
            text: text.trim_start_matches('\u{feff}').trim().to_owned(),
            warning: open.then(|| {
                format!(
                    "{place} can be read by every user of this machine (mode {mode:o}); chmod 600"
                )
            }),
        })
    }
}

/// Looks for a secret in its three places.
pub fn locate(reader: &mut Reader, names: Names) -> Option<Place> {
    let by_setting = reader.is_by_file(names.variable);
    // One that is only commas and white space has none, and hides none. In a settings file it is a fault.
    let mut given = reader.text(names.variable);
    if let Some(text) = &given
        && !by_setting
        && !text.contains(|letter: char| letter != ',' && !letter.is_whitespace())
    {
        reader.overrule(names.variable);
        given = None;
    }
    let mut file = reader.path(names.file);
    let credentials = reader.path("CREDENTIALS_DIRECTORY");
    let credential = credentials
        .map(|directory| directory.join(names.variable))
        .filter(|path| path.exists());
    if given.is_some() && file.is_some() {
        // The environment wins over a settings file, also where it says it in the other way.
        let by_file = [names.variable, names.file].map(|name| reader.is_by_file(name));
        match by_file {
            [true, false] => {
                reader.overrule(names.variable);
                given = None;
            }
            [false, true] => {
                reader.overrule(names.file);
                file = None;
            }
            [true, true] | [false, false] => {
                let [one, other] = [names.variable, names.file].map(|name| reader.name_of(name));
                reader.faults.push(format!(
                    "{one} and {other} are both set; leave one of them out"
                ));
                return None;
            }
        }
    }
    if credential.is_some() && (given.is_some() || file.is_some()) {
        let winner = match given {
            Some(_) => reader.name_of(names.variable),
            None => reader.name_of(names.file),
        };
        reader.mistakes.push(format!(
            "the credential {0} has no effect, because {winner} is set; unset that, or leave out LoadCredential={0}: in the unit",
            names.variable
        ));
    }
    let place = match (given, file, credential) {
        (Some(text), ..) => Place::Text(Text {
            place: reader.name_of(names.variable).into_owned(),
            text,
        }),
        (None, Some(path), _) => Place::File(SecretFile {
            place: format!("{}: '{}'", reader.name_of(names.file), path.display()),
            path,
            is_credential: false,
        }),
        (None, None, Some(path)) => {
            let place = format!("the credential {}", names.variable);
            reader.decide(names.variable, "", Origin::Elsewhere(place.clone()));
            Place::File(SecretFile {
                place,
                path,
                is_credential: true,
            })
        }
        (None, None, None) => return None,
    };
    Some(place)
}

/// A secret that is read once. What is wrong with its place is a fault: whoever names one means to use it.
pub fn find(reader: &mut Reader, names: Names) -> Option<Text> {
    let file = match locate(reader, names)? {
        Place::Text(text) => return Some(text),
        Place::File(file) => file,
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
        reader.mistakes.push(format!(
            "{} is empty and has no effect; write the secret into {}",
            file.place,
            file.where_to_write()
        ));
        return None;
    }
    Some(Text {
        place: file.place,
        text: content.text,
    })
}

#[cfg(test)]
mod tests;
