//! Asks the client what a running program asks, and checks what it answers. Knows no channel: a line of questions
//! goes in, the line that the program reads comes out.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers;
use crate::call::types::{ClientCapabilities, Question, QuestionKind, key_used_twice};
use crate::jsonrpc::{INTERNAL_ERROR, INVALID_PARAMS, MISSING_CAPABILITY, to_raw};
use crate::mcp::context::{Asking, Context};
use crate::mcp::outbox::Outbox;
use crate::mcp::revision::Revision;
use crate::mcp::round_trips::RoundTrips;
use crate::mcp::server_requests::{ServerRequests, Unanswered};
use crate::tasks::{Live, OpenQuestion};

/// How many questions a run may have answered. Each key is remembered.
const MAX_ANSWERED: usize = 1_024;

/// What a program is told by these codes: its question is wrong; the client cannot be asked this; the client gave
/// no answer that can be used.
const WRONG_QUESTION: i64 = INVALID_PARAMS;
const CANNOT_BE_ASKED: i64 = MISSING_CAPABILITY;
const NO_ANSWER: i64 = INTERNAL_ERROR;

/// The questions of one run, asked of the client of one request.
#[derive(Debug)]
pub struct Asker<'a> {
    asking: &'a Asking,
    outbox: Option<&'a Outbox>,
    declared: ClientCapabilities,
    revision: Revision,
    tool: &'a str,
    /// The keys whose questions have answers.
    answered: HashSet<String>,
    /// The client has let a question go unanswered. It is not waited for again.
    is_silent: bool,
    has_logged: bool,
}

/// Why a program gets no line at all: its run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnds {
    /// The client answers by repeating the request, which runs the program again.
    ForAnswers,
    /// There is nobody to go on for.
    ClientGone,
}

/// Why there are no answers.
enum Refusal {
    Ends(RunEnds),
    /// What the program reads instead.
    Error(Box<RawValue>),
}

impl<'a> Asker<'a> {
    /// The questions of a run of `tool` for one request.
    pub fn new(context: &'a Context, tool: &'a str) -> Self {
        Self {
            asking: &context.asking,
            outbox: context.outbox.as_deref(),
            declared: context.client.declared(context.revision),
            revision: context.revision,
            tool,
            answered: HashSet::new(),
            is_silent: false,
            has_logged: false,
        }
    }

    /// The line that the program reads: an object of answers by key, or of an error.
    ///
    /// # Errors
    /// When its run ends instead.
    pub async fn ask(&mut self, asked: &RawValue) -> Result<Box<RawValue>, RunEnds> {
        match self.answers(asked).await {
            Ok(answers) => Ok(answers),
            Err(Refusal::Error(error)) => Ok(to_raw(&BTreeMap::from([("error", error)]))),
            Err(Refusal::Ends(ends)) => Err(ends),
        }
    }

    async fn answers(&mut self, asked: &RawValue) -> Result<Box<RawValue>, Refusal> {
        let questions = Question::read_all(asked)
            .and_then(|questions| self.unused(questions))
            .and_then(|questions| self.complete(questions));
        let questions = questions.map_err(|why| self.wrong(&why))?;
        let declared = self.declared;
        let mut lacking = questions.iter().filter_map(|one| one.missing(declared));
        if let Some(missing) = lacking.next() {
            let why = format!("the client did not declare the capability {missing}");
            return Err(refused(CANNOT_BE_ASKED, &why));
        }
        if let Some(why) = questions
            .iter()
            .find_map(|one| self.unknown_to_revision(one))
        {
            return Err(refused(CANNOT_BE_ASKED, &why));
        }
        if self.is_silent {
            let why = "the client has not answered an earlier question, and is not asked again";
            return Err(refused(NO_ANSWER, why));
        }
        let answers = match (self.asking, self.outbox) {
            (Asking::Task(live), _) => self.answered_in_task(live, &questions).await?,
            (Asking::Turning(_, live), _) if live.is_kept() => {
                self.answered_in_task(live, &questions).await?
            }
            (Asking::RoundTrips(round_trips) | Asking::Turning(round_trips, _), _) => self
                .brought_by(round_trips, &questions)?
                .ok_or(Refusal::Ends(RunEnds::ForAnswers))?,
            (Asking::Session(asking), Some(outbox)) => {
                self.answered_by(asking, outbox, &questions).await?
            }
            _ => {
                let why = "this client cannot be asked: it has no stream to ask it on";
                return Err(refused(CANNOT_BE_ASKED, why));
            }
        };
        let keys = questions.into_iter().map(|question| question.key);
        self.answered.extend(keys);
        Ok(answers)
    }

    /// An answer is found by its key, so that a key stands for one question of a run.
    fn unused(&self, questions: Vec<Question>) -> Result<Vec<Question>, String> {
        let used = questions
            .iter()
            .find(|one| self.answered.contains(&one.key));
        if let Some(used) = used {
            return Err(key_used_twice(&used.key));
        }
        if self.answered.len() + questions.len() > MAX_ANSWERED {
            return Err(format!("a run can ask at most {MAX_ANSWERED} questions"));
        }
        Ok(questions)
    }

    /// What a question at an address needs in addition, as long as its end may be reported by itself.
    fn complete(&self, questions: Vec<Question>) -> Result<Vec<Question>, String> {
        let lacks_id = |one: &&Question| one.is_address() && one.params["elicitationId"].is_null();
        match questions.iter().find(lacks_id) {
            Some(one) if self.revision.has_handshake() => Err(format!(
                "question {} has no elicitationId, which clients of revision {} need beside a url",
                crate::text::in_quotes(&one.key),
                self.revision
            )),
            _ => Ok(questions),
        }
    }

    /// What the client's revision does not know of the question.
    fn unknown_to_revision(&self, question: &Question) -> Option<String> {
        let key = crate::text::in_quotes(&question.key);
        let revision = self.revision;
        let recent = question.recent();
        let recent = recent.filter(|_| !revision.has_lists_in_questions());
        recent.map(|what| {
            format!("question {key} has {what}, which clients of revision {revision} cannot read")
        })
    }

    /// The refusal of a question that its author has to mend.
    fn wrong(&mut self, why: &str) -> Refusal {
        // Once for a run: a program may ask the same again and again.
        if !std::mem::replace(&mut self.has_logged, true) {
            tracing::warn!(tool = self.tool, "a question that cannot be asked: {why}");
        }
        refused(WRONG_QUESTION, why)
    }

    /// The answers that the request brought; `None` when some are still missing.
    ///
    /// An answer that is none is asked for again a few times; then the program hears of it, as it does at once from
    /// a client that it waits for.
    fn brought_by(
        &self,
        rounds: &RoundTrips,
        questions: &[Question],
    ) -> Result<Option<Box<RawValue>>, Refusal> {
        let mut answers = BTreeMap::new();
        let mut open = Vec::new();
        for question in questions {
            let (key, params) = (&question.key, &question.params);
            let method = method(question.kind);
            match rounds.answer(key, method, params) {
                None => open.push((key, method, params)),
                Some(answer) => match answers::usable(question, answer) {
                    Ok(answer) => {
                        answers.insert(key, answer);
                    }
                    Err(why) if !rounds.may_ask_again(key, method, params) => {
                        return Err(unfit(question, &why));
                    }
                    Err(_) => open.push((key, method, params)),
                },
            }
        }
        // Only now: what is left open ends the run, also one that has read an error.
        for (key, method, params) in &open {
            rounds.leave_open(key, method, params);
        }
        Ok(open.is_empty().then(|| to_raw(&answers)))
    }

    /// Waits until whoever owns the task has answered.
    async fn answered_in_task(
        &mut self,
        live: &Live,
        questions: &[Question],
    ) -> Result<Box<RawValue>, Refusal> {
        let asked = questions.iter().map(|question| {
            let (method, params) = (method(question.kind), question.params.clone());
            (question.key.clone(), OpenQuestion { method, params })
        });
        let Ok(given) = live.ask(asked.collect()).await else {
            self.is_silent = true;
            let why = "nobody has answered for ten minutes";
            return Err(refused(NO_ANSWER, why));
        };
        let mut answers = BTreeMap::new();
        for (question, (_, answer)) in questions.iter().zip(given) {
            let answer = answer.map_err(|error| Refusal::Error(answers::error(to_raw(&error))))?;
            answers.insert(&question.key, usable(question, to_raw(&answer))?);
        }
        Ok(to_raw(&answers))
    }

    async fn answered_by(
        &mut self,
        asking: &ServerRequests,
        outbox: &Outbox,
        questions: &[Question],
    ) -> Result<Box<RawValue>, Refusal> {
        let mut answers = BTreeMap::new();
        for question in questions {
            let asked = asking.ask(outbox, method(question.kind), &question.params);
            let answer = asked.await.map_err(|unanswered| match unanswered {
                Unanswered::Gone => Refusal::Ends(RunEnds::ClientGone),
                Unanswered::TooLate => {
                    self.is_silent = true;
                    refused(NO_ANSWER, &unanswered.to_string())
                }
            })?;
            let answer = answer.map_err(|error| Refusal::Error(answers::error(error)))?;
            answers.insert(&question.key, usable(question, answer)?);
        }
        Ok(to_raw(&answers))
    }
}

fn usable(question: &Question, answer: Box<RawValue>) -> Result<Box<RawValue>, Refusal> {
    let read: Value = serde_json::from_str(answer.get()).unwrap_or_default();
    match answers::usable(question, &read) {
        Ok(Cow::Borrowed(_)) => Ok(answer),
        Ok(Cow::Owned(changed)) => Ok(to_raw(&changed)),
        Err(why) => Err(unfit(question, &why)),
    }
}

/// The refusal of an answer that is none.
fn unfit(question: &Question, why: &str) -> Refusal {
    let key = crate::text::in_quotes(&question.key);
    refused(
        NO_ANSWER,
        &format!("the client's answer to {key} is none: {why}"),
    )
}

fn refused(code: i64, message: &str) -> Refusal {
    Refusal::Error(to_raw(&json!({"code": code, "message": message})))
}

const fn method(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Elicit => "elicitation/create",
        QuestionKind::Sample => "sampling/createMessage",
        QuestionKind::Roots => "roots/list",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::jsonrpc::{RequestId, Response};

    const ROOTS: &str = r#"{"k":{"roots":{}}}"#;

    fn asker<'a>(asking: &'a Asking, outbox: Option<&'a Outbox>, roots: bool) -> Asker<'a> {
        let capabilities = if roots {
            json!({"roots": {}})
        } else {
            json!({})
        };
        let Value::Object(capabilities) = capabilities else {
            unreachable!("both are objects")
        };
        Asker {
            asking,
            outbox,
            declared: ClientCapabilities::declared(&capabilities, true),
            revision: Revision::V2025_11_25,
            tool: "tool",
            answered: HashSet::new(),
            is_silent: false,
            has_logged: false,
        }
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    async fn line(asker: &mut Asker<'_>, asked: &str) -> Value {
        let line = asker.ask(&raw(asked)).await.unwrap();
        serde_json::from_str(line.get()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_a_question_unanswered_is_not_waited_for_again() {
        let outbox = Arc::new(Outbox::default());
        let _reader = outbox.attach();
        let asking = Asking::Session(Arc::default());
        let mut asker = asker(&asking, Some(&outbox), true);
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            assert_eq!(line(&mut asker, ROOTS).await["error"]["code"], NO_ANSWER);
        }
        let minutes = began.elapsed().as_secs() / 60;
        assert_eq!(
            minutes, 10,
            "one question is open for ten minutes, and no other"
        );
    }

    #[tokio::test]
    async fn a_client_that_cannot_be_asked_is_not_asked() {
        let outbox = Outbox::default();
        let session = Asking::Session(Arc::default());
        for (asking, outbox, roots) in [
            (&Asking::Nobody, Some(&outbox), true),
            (&session, None, true),
            (&session, Some(&outbox), false),
        ] {
            let line = line(&mut asker(asking, outbox, roots), ROOTS).await;
            assert_eq!(line["error"]["code"], CANNOT_BE_ASKED, "{asking:?}");
        }
        assert!(outbox.is_empty(), "nothing was sent");
    }

    #[tokio::test]
    async fn a_client_that_has_gone_ends_the_run() {
        let (outbox, server_requests) = (Outbox::default(), Arc::<ServerRequests>::default());
        server_requests.abandon();
        let asking = Asking::Session(server_requests);
        let ended = asker(&asking, Some(&outbox), true).ask(&raw(ROOTS)).await;
        assert_eq!(ended.unwrap_err(), RunEnds::ClientGone);
    }

    #[tokio::test]
    async fn an_answer_that_is_none_uses_no_key_up() {
        let (outbox, server_requests) = (Outbox::default(), Arc::<ServerRequests>::default());
        let asking = Asking::Session(Arc::clone(&server_requests));
        let mut asker = asker(&asking, Some(&outbox), true);
        for (id, result, code) in [
            ("0", r#"{"roots":3}"#, json!(NO_ANSWER)),
            ("1", r#"{"roots":[]}"#, Value::Null),
        ] {
            let answering = async {
                outbox.next().await;
                server_requests.answer(Response {
                    id: RequestId::parse(&raw(id)).unwrap(),
                    outcome: Ok(raw(result)),
                });
            };
            let (line, ()) = tokio::join!(line(&mut asker, ROOTS), answering);
            assert_eq!(line["error"]["code"], code, "{line}");
        }
        let line = line(&mut asker, ROOTS).await;
        assert_eq!(line["error"]["code"], WRONG_QUESTION, "{line}");
    }
}
