//! One task that runs: how it is at this moment, and the questions of its program. Knows no store and no message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::task::{Clock, End, Owner, Status, Task};

/// How long a question may be open, as on a client's own stream.
const ANSWER_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A task that runs, or has just ended.
#[derive(Debug)]
pub struct Live {
    /// What does not change while it runs; its status is in `state`.
    task: Task,
    owner: Owner,
    clock: Clock,
    /// Cancelled when its program is to end.
    cancel: CancellationToken,
    /// Whether clients can know it by its id: from the begin, or once its program has said so.
    is_kept: AtomicBool,
    /// Whether it is being decided whether it is kept.
    is_to_be_kept: AtomicBool,
    /// Whether its begin is on the disk.
    is_stored: AtomicBool,
    /// Whether it is decided how it ends.
    is_decided: AtomicBool,
    state: watch::Sender<State>,
    open: Mutex<BTreeMap<String, Open>>,
}

/// How it is.
#[derive(Debug, Clone)]
pub struct State {
    /// Its status.
    pub status: Status,
    /// What there is to say about it.
    pub message: Option<String>,
    /// When it last changed, in milliseconds since 1970.
    pub updated: i64,
    /// How it ended, where that could not be written.
    pub end: Option<Arc<Held>>,
    /// Counts the questions that were asked, so that who waits for the next one sees it.
    pub asked: u64,
}

/// How a task ended, in memory until it is on the disk.
#[derive(Debug)]
pub struct Held {
    /// How.
    pub end: End,
    /// What there is to say about it.
    pub message: Option<String>,
    /// What it takes of the memory for all of them.
    pub room: Option<OwnedSemaphorePermit>,
}

/// A question that its program waits for.
#[derive(Debug)]
struct Open {
    question: OpenQuestion,
    answer: oneshot::Sender<Answer>,
    /// Who puts it to a client at this moment.
    put: Option<Putter>,
}

/// Who puts a question to a client.
#[derive(Debug)]
struct Putter {
    /// Cancelled when somebody else puts it in his place.
    replaced: CancellationToken,
    /// Whether nobody reads what he puts to the client.
    is_unread: bool,
}

/// A question as a client is asked it.
#[derive(Debug, Clone)]
pub struct OpenQuestion {
    /// The method of the request.
    pub method: &'static str,
    /// Its params.
    pub params: Value,
}

/// What a client answers: a result, or an error object.
pub type Answer = Result<Value, Value>;

/// Why a question got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl Live {
    /// A task that begins.
    pub fn new(task: Task, owner: Owner, clock: Clock, is_kept: bool) -> Self {
        let state = State {
            status: task.status,
            message: None,
            updated: task.updated,
            end: None,
            asked: 0,
        };
        Self {
            task,
            owner,
            clock,
            cancel: CancellationToken::new(),
            is_kept: AtomicBool::new(is_kept),
            is_to_be_kept: AtomicBool::new(false),
            is_stored: AtomicBool::new(false),
            is_decided: AtomicBool::new(false),
            state: watch::Sender::new(state),
            open: Mutex::default(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.task.id
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Cancelled when its program is to end.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// What is known of it at this moment.
    pub fn task(&self) -> Task {
        let state = self.state.borrow();
        Task {
            status: state.status,
            message: state.message.clone(),
            updated: state.updated,
            has_failed: matches!(
                state.end.as_deref().map(|held| &held.end),
                Some(End::Result {
                    has_failed: true,
                    ..
                })
            ),
            ..self.task.clone()
        }
    }

    /// Its status at this moment.
    pub fn status(&self) -> Status {
        self.state.borrow().status
    }

    /// How it is, and everything that it will be.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Waits until clients can know it.
    pub async fn kept(&self) {
        let _ = self.watch().wait_for(|_| self.is_kept()).await;
    }

    /// Waits until it is over.
    pub async fn over(&self) {
        // It owns the sender: the channel is open for as long as somebody can wait here.
        let _ = self.watch().wait_for(|state| state.status.is_over()).await;
    }

    /// Whether clients can know it.
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::SeqCst)
    }

    /// Somebody begins to keep it; whether it is kept is not known yet.
    pub fn begin_keeping(&self) {
        self.is_to_be_kept.store(true, Ordering::SeqCst);
    }

    /// From now on clients can know it, or not even now.
    pub fn keep(&self, is_kept: bool) {
        self.is_kept.store(is_kept, Ordering::SeqCst);
        self.is_to_be_kept.store(false, Ordering::SeqCst);
        // Who waits for it looks again.
        self.state.send_modify(|_| {});
    }

    /// Waits until it is known whether it is kept, where somebody wants that.
    pub async fn decided_whether_kept(&self) {
        let undecided = || self.is_to_be_kept.load(Ordering::SeqCst);
        let _ = self.watch().wait_for(|_| !undecided()).await;
    }

    /// Whether nothing more comes of it.
    pub fn is_over(&self) -> bool {
        self.state.borrow().status.is_over()
    }

    /// Whether its begin is on the disk.
    pub fn is_stored(&self) -> bool {
        self.is_stored.load(Ordering::SeqCst)
    }

    /// Its begin is on the disk; what was said of that is true no longer.
    pub fn stored(&self) {
        self.is_stored.store(true, Ordering::SeqCst);
        self.state.send_if_modified(|state| {
            let is_noted = !state.status.is_over() && state.message.is_some();
            if is_noted {
                state.message = None;
            }
            is_noted
        });
    }

    /// Takes the right to say how it ends, which one alone gets.
    pub fn decide(&self) -> bool {
        !self.is_decided.swap(true, Ordering::AcqRel)
    }

    /// Says something about it.
    pub fn note(&self, message: String) {
        self.state
            .send_modify(|state| state.message = Some(message));
    }

    /// It is over, and whether it was not before. `end` is kept where it is nowhere else.
    pub fn ended(&self, status: Status, message: Option<String>, end: Option<Arc<Held>>) -> bool {
        let now = self.clock.now();
        let mut is_first = false;
        self.open().clear();
        self.state.send_modify(|state| {
            is_first = !state.status.is_over();
            if is_first {
                state.updated = now;
            }
            state.status = status;
            state.message = message;
            state.end = end;
        });
        is_first
    }

    /// Opens questions by their keys and waits for all answers. Dropped, it closes them.
    ///
    /// # Errors
    /// [`NoAnswer`] when they do not come in time.
    pub async fn ask(
        &self,
        questions: Vec<(String, OpenQuestion)>,
    ) -> Result<Vec<(String, Answer)>, NoAnswer> {
        let keys: Vec<String> = questions.iter().map(|(key, _)| key.clone()).collect();
        let mut waiting = Vec::new();
        {
            let mut open = self.open();
            for (key, question) in questions {
                let (answer, answered) = oneshot::channel();
                waiting.push((key.clone(), answered));
                let question = Open {
                    question,
                    answer,
                    put: None,
                };
                open.insert(key, question);
            }
        }
        self.set_status(Status::InputRequired);
        let _closed = Closing { live: self, keys };
        let all = async {
            let mut answers = Vec::new();
            for (key, answered) in waiting {
                answers.push((key, answered.await.map_err(|_| NoAnswer)?));
            }
            Ok(answers)
        };
        tokio::time::timeout(ANSWER_LIMIT, all)
            .await
            .unwrap_or(Err(NoAnswer))
    }

    /// The questions that wait for an answer.
    pub fn questions(&self) -> BTreeMap<String, OpenQuestion> {
        let open = self.open();
        let questions = open.iter();
        questions
            .map(|(key, open)| (key.clone(), open.question.clone()))
            .collect()
    }

    /// Answers a question; one that is not open is passed over.
    pub fn answer(&self, key: &str, answer: Answer) {
        let question = self.open().remove(key);
        if let Some(question) = question {
            // The program may have ended in this very moment.
            let _ = question.answer.send(answer);
        }
    }

    /// Takes a question with a method that `may` be put to a client and that nobody puts to one, in order to do so;
    /// whoever `is_read` takes it also from somebody whom nobody reads. It is given back when what is returned is
    /// dropped.
    pub fn take_question(&self, may: impl Fn(&str) -> bool, is_read: bool) -> Option<Putting<'_>> {
        let mut open = self.open();
        let is_free = |open: &Open| match &open.put {
            None => true,
            Some(putter) => is_read && putter.is_unread,
        };
        let (key, next) = open
            .iter_mut()
            .find(|(_, open)| is_free(open) && may(open.question.method))?;
        let replaced = CancellationToken::new();
        let putter = Putter {
            replaced: replaced.clone(),
            is_unread: false,
        };
        if let Some(before) = next.put.replace(putter) {
            before.replaced.cancel();
        }
        Some(Putting {
            live: self,
            key: key.clone(),
            question: next.question.clone(),
            replaced,
        })
    }

    fn set_status(&self, status: Status) {
        let updated = self.clock.now();
        self.state.send_modify(|state| {
            if status == Status::InputRequired {
                state.asked += 1;
            }
            if !state.status.is_over() && state.status != status {
                state.status = status;
                state.updated = updated;
            }
        });
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes questions, however the wait for their answers ends.
struct Closing<'a> {
    live: &'a Live,
    keys: Vec<String>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut open = self.live.open();
        self.keys.iter().for_each(|key| drop(open.remove(key)));
        let is_last = open.is_empty();
        drop(open);
        if is_last {
            self.live.set_status(Status::Working);
        }
    }
}

/// A question that is put to a client.
#[derive(Debug)]
pub struct Putting<'a> {
    live: &'a Live,
    /// Its key.
    pub key: String,
    /// The question.
    pub question: OpenQuestion,
    replaced: CancellationToken,
}

impl Putting<'_> {
    /// Waits until somebody else puts it.
    pub async fn replaced(&self) {
        self.replaced.cancelled().await;
    }

    /// Says whether anybody reads what is put. While nobody does, somebody else may put it.
    pub fn is_unread(&self, is_unread: bool) {
        let mut open = self.live.open();
        let open = open.get_mut(&self.key).and_then(|open| open.put.as_mut());
        if let Some(putter) = open.filter(|_| !self.replaced.is_cancelled()) {
            putter.is_unread = is_unread;
        }
        if is_unread {
            self.live.state.send_modify(|state| state.asked += 1);
        }
    }
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        let mut open = self.live.open();
        // What was taken over is not his any more.
        if !self.replaced.is_cancelled()
            && let Some(open) = open.get_mut(&self.key)
        {
            open.put = None;
            // Somebody else may put it.
            self.live.state.send_modify(|state| state.asked += 1);
        }
    }
}
