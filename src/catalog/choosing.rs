//! Which answer of a plugin counts: the one that it gives with the interpreter that it always had, or the one with its
//! own environment. Nobody loses what worked before there were environments.

use std::collections::HashSet;
use std::sync::Arc;

use super::beside::Beside;
use super::lookout::Interpreter;
use super::plugin::Plugin;
use crate::contract::OfferKind;
use crate::discovery::Unserved;
use crate::discovery::describe::Answer;
use crate::text::shown;

/// How many commands are named that are missing.
const NAMED: usize = 5;

/// The longest reason that a warning repeats, in characters.
const MAX_REASON: usize = 500;

/// One answer, and what ran the plugin meanwhile.
pub type Told = (Interpreter, Result<Answer, Unserved>);

/// What a plugin answered in all the ways in which it could be run.
#[derive(Debug, Default)]
pub struct Answers {
    /// With its own environment, where that is there: the one that was made before its interpreter was changed, where
    /// `beside` says why there is no other.
    pub own: Option<Told>,
    /// With the interpreter that it would have without one.
    pub plain: Option<Told>,
    /// What is to be known of an environment that is not there.
    pub beside: Option<Beside>,
}

/// The answer that counts.
#[derive(Debug)]
pub struct Chosen {
    /// The plugin that was made of it.
    pub plugin: Arc<Plugin>,
    /// The answer itself.
    pub answer: Answer,
    /// What runs it.
    pub interpreter: Interpreter,
    /// Whether that is its own environment.
    pub is_own: bool,
    /// What is to be known of its environment where it is not.
    pub beside: Option<Beside>,
}

impl Answers {
    /// Whether its own environment is there, as looking finds it.
    pub fn has_own(&self) -> bool {
        self.own.is_some() && self.beside.is_none()
    }

    /// What its author should know of its interpreter.
    pub fn warning(&self) -> Option<String> {
        let (by, _) = self.plain.as_ref()?;
        by.warning.clone()
    }

    /// The answer that counts: the one with the environment, where the plugin can do all with that which it can do
    /// without. Takes its time with large answers.
    ///
    /// # Errors
    /// Why none of them can be served.
    pub fn choose(
        self,
        made: impl Fn(&Answer, &Interpreter) -> Result<Arc<Plugin>, Unserved>,
    ) -> Result<Chosen, Unserved> {
        let mut beside = self.beside;
        let chosen = |told: Told, is_own| -> Result<Chosen, Unserved> {
            let (interpreter, answer) = told;
            let answer = answer?;
            Ok(Chosen {
                plugin: made(&answer, &interpreter)?,
                answer,
                interpreter,
                is_own,
                beside: None,
            })
        };
        let plain = self.plain.map(|told| chosen(told, false));
        let why = match (self.own.map(|told| chosen(told, true)), &plain) {
            // The system was out of something: that says nothing of the environment.
            (Some(Err(fault)), _) if fault.passes() => return Err(fault),
            (Some(Ok(own)), Some(Ok(plain))) => match lacking(&own.plugin, &plain.plugin) {
                None => return Ok(own.beside(beside)),
                Some(lacking) => Some(format!("without {lacking}, which it has otherwise")),
            },
            (Some(Ok(own)), _) => return Ok(own.beside(beside)),
            (Some(Err(fault)), Some(Ok(_))) => Some(format!(
                "and does not work: {}",
                shown(&fault.to_string(), MAX_REASON)
            )),
            (Some(Err(fault)), _) => return Err(fault),
            (None, _) => None,
        };
        let plain = plain.unwrap_or_else(|| Err(Unserved::Plugin("it was not asked".into())))?;
        // Of one that is to be made anew, no author has to know.
        if let Some(why) = why.filter(|_| beside.is_none()) {
            let reason = format!(
                "its environment has what it declares, {why}; it is run without that; declare all that it imports"
            );
            beside = Some(Beside {
                fault: Unserved::Dependencies {
                    reason,
                    again: false,
                },
                underway: None,
                again: None,
                is_made: true,
                is_damaged: false,
            });
        }
        Ok(plain.beside(beside))
    }
}

impl Chosen {
    /// With what is to be known of the environment that does not run it.
    fn beside(mut self, beside: Option<Beside>) -> Self {
        if let Some(Beside {
            fault: Unserved::Dependencies { reason, .. },
            ..
        }) = &beside
        {
            let is_damaged = beside.as_ref().is_some_and(|beside| beside.is_damaged);
            let reason = match self.is_own {
                true if is_damaged => format!("{reason}; the environment stays in use as it is"),
                true => format!(
                    "{reason}; the environment that was made before the interpreter was changed stays in use"
                ),
                false => reason.clone(),
            };
            self.plugin = Arc::new(self.plugin.with_warning(reason));
        }
        self.beside = beside;
        self
    }
}

/// What `plain` has and `own` has not, for people.
fn lacking(own: &Plugin, plain: &Plugin) -> Option<String> {
    let own: HashSet<String> = names(own).collect();
    let lacking: Vec<String> = names(plain).filter(|name| !own.contains(name)).collect();
    let named: Vec<&str> = lacking.iter().take(NAMED).map(String::as_str).collect();
    match lacking.len() {
        0 => None,
        all if all > NAMED => Some(format!("{} and {} more", named.join(", "), all - NAMED)),
        _ => Some(named.join(", ")),
    }
}

/// All that clients or the server can ask of it.
fn names(plugin: &Plugin) -> impl Iterator<Item = String> {
    let tools = plugin.tools.iter().map(|tool| tool.name.clone());
    let offerings = plugin.offerings.iter().map(|offering| {
        let kind = match offering.kind {
            OfferKind::Resource => "the resource",
            OfferKind::Template(_) => "the template",
            OfferKind::Prompt(_) => "the prompt",
            OfferKind::Completion { .. } => "the completion",
        };
        format!("{kind} {}", offering.key)
    });
    let services = plugin.services.iter();
    let services = services.map(|service| format!("the service {}", service.name));
    tools.chain(offerings).chain(services)
}

/// What is said of a plugin that answers in no way, where its environment could not be had: what the program itself
/// says is lacking says less than why. A `warning` about its interpreter may be the reason, too.
pub fn not_without(fault: Unserved, beside: Option<&Beside>, warning: Option<String>) -> Unserved {
    match (fault, beside.map(|beside| &beside.fault)) {
        (
            Unserved::Plugin(fault) | Unserved::Late(fault),
            Some(Unserved::Dependencies {
                reason,
                again: true,
            }),
        ) => Unserved::Dependencies {
            reason: format!("{reason}; without it, {fault}"),
            again: true,
        },
        (Unserved::Plugin(_) | Unserved::Late(_), Some(why)) => why.clone(),
        (Unserved::Plugin(fault), None) => Unserved::Plugin(with_warning(fault, warning)),
        (Unserved::Late(fault), None) => Unserved::Late(with_warning(fault, warning)),
        (fault, _) => fault,
    }
}

fn with_warning(fault: String, warning: Option<String>) -> String {
    match warning {
        Some(warning) => format!("{fault}; {warning}"),
        None => fault,
    }
}
