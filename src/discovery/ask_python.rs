//! Asks one Python program: `--describe` where it knows that, else its parser, else what it prints for help.
//!
//! A program is run unguarded only with a question that it knows, or where nothing can be read under the guard, or the
//! interpreter is too old for it.

use serde_json::Value;

use super::advice::quotes_the_program;
use super::introspect;
use super::mentions::mentions_describe;
use super::outcome::{cleaned_text, ending, last_line, syntax_error};
use super::question::{Asking, NoAnswer, Pages, Python, payload_of};
use super::unserved::Unserved;
use crate::contract::Payload;
use crate::process::Ending;

/// What the question for a program's parser gave.
enum Parser {
    /// A description.
    Read(Payload),
    /// The plugin is not served: it would work, or it could not be asked.
    Skip(Unserved),
    /// Nothing could be read of what is left of it under the guard.
    Refused(String),
    /// The interpreter is too old for this question.
    CannotBeGuarded(String),
    /// No parser is known.
    None {
        reason: String,
        /// Perhaps a help text.
        printed: Vec<u8>,
        /// Whether it may know `--describe`.
        may_describe: bool,
    },
}

impl Parser {
    fn none(reason: String) -> Self {
        Self::None {
            reason,
            printed: Vec::new(),
            may_describe: true,
        }
    }
}

impl Asking<'_> {
    /// What the program says of itself, and the way by which it became known; nothing where no question was answered,
    /// with the `reasons`.
    pub(super) async fn ask_python(
        &self,
        python: &Python<'_>,
        reasons: &mut Vec<String>,
    ) -> Result<Option<(Payload, &'static str)>, Unserved> {
        let is_known = self.knows_the_question().await;
        if is_known && let Some(payload) = self.listen(self.describe_in_round().await, reasons)? {
            return Ok(Some((payload, "describe")));
        }
        let (help_text, may_describe) = match self.parser(python).await {
            Parser::Read(mut payload) => {
                let listing = payload
                    .json
                    .as_object_mut()
                    .and_then(|json| json.remove("help_text"));
                // A library may have taught it the question without a word of it in its own files.
                let has_learned = !is_known && has_describe_option(&payload.json);
                let described = match has_learned {
                    true => self.listen(self.describe().await, reasons)?,
                    false => None,
                };
                if let Some(payload) = described {
                    return Ok(Some((payload, "describe")));
                }
                if let Some(Value::String(text)) = listing
                    && let Some(listed) = self.listed(text, &payload, python).await
                {
                    return Ok(Some((listed, "help")));
                }
                return Ok(Some((payload, "introspection")));
            }
            Parser::Skip(reason) => return Err(reason),
            Parser::Refused(reason) => {
                return self.ask_for_help_openly(reason, reasons).await;
            }
            Parser::CannotBeGuarded(reason) => {
                reasons.push(reason);
                return self.ask_openly(!is_known, reasons).await;
            }
            Parser::None {
                reason,
                printed,
                may_describe,
            } => {
                reasons.push(reason);
                (printed, may_describe)
            }
        };
        if !is_known
            && may_describe
            && let Ok(text) = self.run_guarded(python, &["--describe"]).await
            && let Ok(Some(payload)) = payload_of(text).await
        {
            return Ok(Some((payload, "describe")));
        }
        if help_text.trim_ascii().is_empty() {
            return Ok(None);
        }
        // A program may describe itself whatever it is asked.
        if let Ok(Some(payload)) = payload_of(help_text.clone()).await
            && payload.json.get("commands").is_some_and(Value::is_array)
        {
            return Ok(Some((payload, "describe")));
        }
        let pages = Pages::Guarded(python);
        let read = self.read_help(cleaned_text(&help_text), pages).await;
        if matches!(read, Err(NoAnswer::Next(_)))
            && reasons.iter().any(|why| quotes_the_program(why))
        {
            return Ok(None); // what it printed is in the reason, and was not meant as help
        }
        Ok(self.listen(read, reasons)?.map(|payload| (payload, "help")))
    }

    /// The commands that the help text of a parser without sub-commands lists, as version 3 served them: its users
    /// know them by these names. `None` where the text has the title alone.
    async fn listed(
        &self,
        help_text: String,
        parser: &Payload,
        python: &Python<'_>,
    ) -> Option<Payload> {
        let read = self.read_help(help_text, Pages::Guarded(python)).await;
        let mut listed = read.ok()?;
        if introspect::pages_to_ask(&listed.json).is_empty() {
            return None;
        }
        listed.json["plugin"]["description"] = parser.json["plugin"]["description"].clone();
        Some(listed)
    }

    /// Asks for `--help` without the guard, as version 3 asked every plugin. Why nothing could be read under it is
    /// the author's to know in any case.
    async fn ask_for_help_openly(
        &self,
        reason: String,
        reasons: &mut Vec<String>,
    ) -> Result<Option<(Payload, &'static str)>, Unserved> {
        let (second, is_late) = match self.help().await {
            Ok(payload) => return Ok(Some((warned(payload, &reason), "help"))),
            Err(NoAnswer::Skip(Unserved::Late(second))) => (second, true),
            Err(NoAnswer::Skip(Unserved::Plugin(second)) | NoAnswer::Next(second)) => {
                (second, false)
            }
            Err(NoAnswer::Skip(passing)) => return Err(passing),
        };
        // A program that fails in the same way both times needs no second sentence.
        let fault = reason.split(" (").next().unwrap_or_default();
        let is_new = !second.contains(fault);
        reasons.push(reason);
        if is_new {
            reasons.push(format!("asked openly, {second}"));
        }
        if is_late {
            return Err(Unserved::Late(reasons.join("; ")));
        }
        Ok(None)
    }

    /// Whether the plugin's own files mention `--describe`; reading them may take a while.
    async fn knows_the_question(&self) -> bool {
        let directory = self.plugin.directory.clone();
        let looking = tokio::task::spawn_blocking(move || mentions_describe(&directory));
        looking.await.unwrap_or(true)
    }

    async fn parser(&self, python: &Python<'_>) -> Parser {
        let finished = match self.run_watched(python, &[]).await {
            Ok(finished) => self.ended(finished, "the question for its parser"),
            Err(no) => Err(no),
        };
        let finished = match finished {
            Ok(finished) => finished,
            Err(NoAnswer::Skip(reason)) => return Parser::Skip(reason),
            // It was ended for what it wrote.
            Err(NoAnswer::Next(reason)) => return Parser::Refused(reason),
        };
        let reason = last_line(&finished.stderr_tail);
        match finished.ending {
            Ending::Exited(0) => match payload_of(finished.stdout).await {
                Ok(Some(payload)) => Parser::Read(payload),
                Err(NoAnswer::Skip(reason)) => Parser::Skip(reason),
                Ok(None) | Err(NoAnswer::Next(_)) => {
                    Parser::none("its parser could not be read".to_owned())
                }
            },
            Ending::Exited(introspect::REFUSED) => Parser::Refused(reason),
            Ending::Exited(introspect::HANGS) => Parser::Skip(Unserved::Late(reason)),
            Ending::Exited(introspect::TOO_OLD) => Parser::CannotBeGuarded(reason),
            Ending::Exited(status @ (introspect::NOT_ASKED | introspect::NO_DESCRIBE)) => {
                Parser::None {
                    reason,
                    printed: finished.stdout,
                    may_describe: status == introspect::NOT_ASKED,
                }
            }
            _ => match syntax_error(&finished.stderr_tail) {
                Some(fault) => Parser::Skip(Unserved::Plugin(fault)),
                // Something of the guard's may be what the program cannot do with.
                None if finished.ending == Ending::Exited(introspect::FAULT) => {
                    Parser::Refused(reason)
                }
                None => Parser::none(format!("the question for its parser {}", ending(&finished))),
            },
        }
    }
}

/// The payload of an open `--help`, with why it was asked for.
fn warned(mut payload: Payload, reason: &str) -> Payload {
    let warning = format!("its parser could not be read, only its --help: {reason}");
    payload.warning = payload.warning.or(Some(warning));
    payload
}

/// Whether a parser that was read has an option `--describe` of its own.
fn has_describe_option(payload: &Value) -> bool {
    let commands = payload["commands"].as_array().into_iter().flatten();
    let mut options =
        commands.flat_map(|command| command["parameters"].as_array().into_iter().flatten());
    options.any(|parameter| parameter["flag"] == "--describe")
}
