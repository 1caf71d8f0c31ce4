//! Who sits before the client: keeps what it is told and answers what it is asked. Knows no server.

use std::sync::Mutex;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationSchema,
    ErrorData, Implementation, ProgressNotificationParam, ProtocolVersion,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, RoleClient};
use serde_json::Value;

/// What the client was told without having asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A step of a call: how far, of how much, in words.
    Progress(f64, Option<f64>, Option<String>),
    /// A log message: level and text.
    Log(String, Value),
    /// The list of tools is another one.
    ToolsChanged,
    /// A question to the user.
    Question(String, ElicitationSchema),
    /// A question to the model, as it came.
    Sampling(Value),
    /// A resource is another one.
    Updated(String),
}

/// Who sits before the client: keeps what is told, and answers questions in one way.
#[derive(Debug, Default)]
pub struct User {
    answer: Option<ElicitResult>,
    model: Option<&'static str>,
    roots: Option<&'static [&'static str]>,
    revision: Option<ProtocolVersion>,
    told: Mutex<Vec<Notice>>,
}

impl User {
    /// Can be asked, and answers this.
    pub fn who_answers(answer: ElicitResult) -> Self {
        Self {
            answer: Some(answer),
            ..Self::default()
        }
    }

    /// Has a model that says this, whatever it is asked.
    pub fn with_model(mut self, text: &'static str) -> Self {
        self.model = Some(text);
        self
    }

    /// Works in these directories.
    pub fn with_roots(mut self, uris: &'static [&'static str]) -> Self {
        self.roots = Some(uris);
        self
    }

    /// Offers this revision in a handshake.
    pub fn of_revision(mut self, revision: ProtocolVersion) -> Self {
        self.revision = Some(revision);
        self
    }

    /// What was told so far of calls: lists may change at any time while plugins are still being found.
    pub fn notices(&self) -> Vec<Notice> {
        let told = self.told.lock().expect("nobody panics here");
        let of_calls = told
            .iter()
            .filter(|notice| **notice != Notice::ToolsChanged);
        of_calls.cloned().collect()
    }

    /// How often it was told that the tools are others.
    pub fn changes(&self) -> usize {
        let told = self.told.lock().expect("nobody panics here");
        told.iter()
            .filter(|notice| **notice == Notice::ToolsChanged)
            .count()
    }

    fn note(&self, notice: Notice) {
        self.told.lock().expect("nobody panics here").push(notice);
    }
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        capabilities.elicitation = self.answer.as_ref().map(|_| Default::default());
        capabilities.sampling = self.model.map(|_| Default::default());
        capabilities.roots = self.roots.map(|_| Default::default());
        let config = ClientConfig::new(capabilities, Implementation::new("rust-sdk", "3"));
        match &self.revision {
            Some(revision) => config.with_protocol_version(revision.clone()),
            None => config,
        }
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams {
            message,
            requested_schema,
            ..
        } = request
        else {
            return Err(ErrorData::invalid_params("only forms can be shown", None));
        };
        self.note(Notice::Question(message, requested_schema));
        let answer = self.answer.clone();
        answer.ok_or_else(|| ErrorData::invalid_params("there is nobody to ask", None))
    }

    #[expect(
        deprecated,
        reason = "on its way out of the protocol, and in use until then"
    )]
    async fn create_message(
        &self,
        request: rmcp::model::CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::CreateMessageResult, ErrorData> {
        use rmcp::model::{CreateMessageResult, SamplingMessage};
        self.note(Notice::Sampling(serde_json::json!(request)));
        let text = self
            .model
            .ok_or_else(|| ErrorData::invalid_params("there is no model", None))?;
        let message = SamplingMessage::assistant_text(text);
        Ok(CreateMessageResult::new(message, "a model".to_owned()))
    }

    #[expect(
        deprecated,
        reason = "on its way out of the protocol, and in use until then"
    )]
    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ListRootsResult, ErrorData> {
        use rmcp::model::{ListRootsResult, Root};
        let uris = self.roots.unwrap_or_default();
        Ok(ListRootsResult::new(
            uris.iter().copied().map(Root::new).collect(),
        ))
    }

    async fn on_resource_updated(
        &self,
        told: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(Notice::Updated(told.uri));
    }

    async fn on_progress(
        &self,
        told: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(Notice::Progress(told.progress, told.total, told.message));
    }

    #[expect(
        deprecated,
        reason = "on its way out of the protocol, and in use until then"
    )]
    async fn on_logging_message(
        &self,
        told: rmcp::model::LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let level = format!("{:?}", told.level).to_lowercase();
        self.note(Notice::Log(level, told.data));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note(Notice::ToolsChanged);
    }
}
