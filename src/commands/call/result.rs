//! Prints the result of a call: texts as they are, pictures and sounds as the paths of files.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::commands::setup::say;
use crate::text::cleaned;

/// Files of one name that may be there already.
const MAX_NUMBER: usize = 10_000;

/// Endings of files, by the type of what is in them.
const ENDINGS: [(&str, &str); 15] = [
    ("application/json", "json"),
    ("application/pdf", "pdf"),
    ("audio/flac", "flac"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("audio/x-wav", "wav"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/webp", "webp"),
    ("text/html", "html"),
    ("text/plain", "txt"),
];

/// Where files go: a directory that was named, or one of its own.
pub(super) struct Files {
    directory: Option<PathBuf>,
    name: String,
    /// The first number that has not been tried, for each ending.
    untried: HashMap<&'static str, usize>,
}

impl Files {
    /// For the results of `tool`. Without a directory, one is made among the system's temporary ones when it is needed.
    pub(super) fn new(directory: Option<PathBuf>, tool: &str) -> Self {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let name = tool.chars().map(|letter| match letter {
            letter if allowed(letter) => letter,
            _ => '_',
        });
        Self {
            directory,
            name: name.take(64).collect(),
            untried: HashMap::new(),
        }
    }

    /// Writes a file, none that is there already, and gives its path.
    fn save(&mut self, data: &Value, mime_type: &Value) -> anyhow::Result<PathBuf> {
        let data = data.as_str().unwrap_or_default();
        let bytes = STANDARD
            .decode(data)
            .context("the server's data is no base64")?;
        let directory = self.directory()?;
        let mime_type = mime_type.as_str().unwrap_or_default();
        let kind = mime_type.split(';').next().unwrap_or_default().trim();
        let ending = ENDINGS.iter().find(|(known, _)| *known == kind);
        let ending = ending.map_or("bin", |(_, ending)| ending);
        let untried = self.untried.entry(ending).or_insert(1);
        for number in *untried..=MAX_NUMBER {
            *untried = number + 1;
            let path = directory.join(format!("{}-{number}.{ending}", self.name));
            let opened = OpenOptions::new().write(true).create_new(true).open(&path);
            match opened {
                Ok(mut file) => {
                    if let Err(error) = file.write_all(&bytes) {
                        // Half of a file looks like the whole one.
                        let _ = std::fs::remove_file(&path);
                        let cannot = format!("writing {}", path.display());
                        return Err(anyhow::Error::from(error).context(cannot));
                    }
                    return Ok(path);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let cannot = format!("cannot write {}", path.display());
                    return Err(anyhow::Error::from(error).context(cannot));
                }
            }
        }
        anyhow::bail!(
            "there are {MAX_NUMBER} files {}-… in {}",
            self.name,
            directory.display()
        )
    }

    fn directory(&mut self) -> anyhow::Result<PathBuf> {
        if let Some(directory) = &self.directory {
            let made = std::fs::create_dir_all(directory);
            made.with_context(|| format!("--save: cannot make {}", directory.display()))?;
            return Ok(directory.clone());
        }
        let made = tempfile::Builder::new().prefix("smcp-").tempdir();
        // What was asked for stays; whoever asked removes it.
        let kept = made.context("no room for what the tool gave")?.keep();
        Ok(self.directory.insert(kept).clone())
    }
}

/// Prints what a call gave.
///
/// # Errors
/// A file cannot be written, or what came is no result, or the end has been asked for.
pub(super) fn print(
    result: &Value,
    files: &mut Files,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let blocks = result["content"].as_array().map_or(&[][..], Vec::as_slice);
    for block in blocks {
        ensure!(!stop.is_cancelled(), "interrupted");
        print_block(block, files)?;
    }
    let structured = &result["structuredContent"];
    if blocks.is_empty() && !structured.is_null() {
        say(serde_json::to_string_pretty(structured)?);
    }
    Ok(())
}

fn print_block(block: &Value, files: &mut Files) -> anyhow::Result<()> {
    match block["type"].as_str() {
        Some("text") => say_text(&block["text"]),
        Some("image" | "audio") => say_path(&files.save(&block["data"], &block["mimeType"])?),
        Some("resource") => {
            let resource = &block["resource"];
            match resource.get("blob") {
                Some(blob) => say_path(&files.save(blob, &resource["mimeType"])?),
                None => say_text(&resource["text"]),
            }
        }
        Some("resource_link") => say_text(&block["uri"]),
        _ => say(block),
    }
    Ok(())
}

fn say_text(text: &Value) {
    say(text.as_str().unwrap_or_default());
}

fn say_path(path: &Path) {
    say(path.display());
}

/// Why a call failed, where the server says so and not the program: the code, and the words. With a schema of the
/// result, the code stands beside it.
pub(super) fn failure(result: &Value) -> Option<(&str, String)> {
    let places = [
        &result["structuredContent"]["error"],
        &result["_meta"]["smcp/error"],
    ];
    let error = places.into_iter().find(|place| place["code"].is_string())?;
    let message = error["message"].as_str().unwrap_or_default();
    Some((error["code"].as_str()?, cleaned(message)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_named_after_their_tool_and_type_and_never_replace_another() {
        let directory = tempfile::tempdir().expect("there is room");
        let mut files = Files::new(Some(directory.path().join("new")), "../a b__draw");
        for (data, kind, name, bytes) in [
            ("aGk=", "image/png", "___a_b__draw-1.png", &b"hi"[..]),
            ("aG8=", "image/png", "___a_b__draw-2.png", b"ho"),
            ("", "text/plain; charset=utf-8", "___a_b__draw-1.txt", b""),
            ("aGk=", "x/../../y", "___a_b__draw-1.bin", b"hi"),
        ] {
            let path = files.save(&json!(data), &json!(kind)).unwrap();
            assert_eq!(path, directory.path().join("new").join(name));
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        assert!(files.save(&json!("?"), &json!("image/png")).is_err());
    }

    #[test]
    fn no_number_is_tried_twice_however_many_files_a_result_has() {
        let directory = tempfile::tempdir().expect("there is room");
        let mut files = Files::new(Some(directory.path().to_owned()), "draw");
        let mut save = || {
            let path = files.save(&json!("aGk="), &json!("image/png")).unwrap();
            std::fs::remove_file(&path).unwrap();
            path.file_name().unwrap().to_owned()
        };
        let names = [save(), save(), save()];
        assert_eq!(names, ["draw-1.png", "draw-2.png", "draw-3.png"]);
    }

    #[test]
    fn after_the_end_was_asked_for_nothing_is_saved() {
        let directory = tempfile::tempdir().expect("there is room");
        let mut files = Files::new(Some(directory.path().to_owned()), "draw");
        let file = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
        let stop = CancellationToken::new();
        stop.cancel();
        let ended = print(&json!({"content": [file]}), &mut files, &stop).unwrap_err();
        assert_eq!(ended.to_string(), "interrupted");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failure_is_known_by_its_code_wherever_that_stands() {
        let error = json!({"code": "timeout", "message": "too slow"});
        for result in [
            json!({"structuredContent": {"error": error}}),
            json!({"_meta": {"smcp/error": error}}),
        ] {
            assert_eq!(failure(&result), Some(("timeout", "too slow".to_owned())));
        }
        assert_eq!(failure(&json!({"structuredContent": {"error": "x"}})), None);
    }
}
