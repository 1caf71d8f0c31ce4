//! The parameters of the requests that a server sends to its client: elicitation, sampling, roots. A running program
//! writes them itself. Where the revisions differ, all forms are known here; whether a client can read one is for the
//! caller to find out.
//! <https://modelcontextprotocol.io/specification/2025-11-25/schema>

use super::protocol::{BLOCK, BYTES, META, TEXT, optional, required};
use super::shape::{Form, Shape};

/// `elicitation/create`: a question to the user in a form.
pub const ELICIT_FORM: Form = Form::Shape(&ELICIT_FORM_PARAMS);

static ELICIT_FORM_PARAMS: Shape = Shape {
    members: &[
        required("message", Form::Text),
        required("requestedSchema", Form::Shape(&REQUESTED_SCHEMA)),
        optional("mode", Form::Word(&["form"])),
        optional("_meta", META),
    ],
    any_of: &[],
};

/// `elicitation/create`: a question to the user at an address. An `elicitationId` is asked for by some revisions alone.
pub const ELICIT_URL: Form = Form::Shape(&ELICIT_URL_PARAMS);

static ELICIT_URL_PARAMS: Shape = Shape {
    members: &[
        required("message", Form::Text),
        required("mode", Form::Word(&["url"])),
        required("url", Form::Uri),
        optional("elicitationId", Form::Text),
        optional("_meta", META),
    ],
    any_of: &[],
};

static REQUESTED_SCHEMA: Shape = Shape {
    members: &[
        optional("$schema", Form::Text),
        required("type", Form::Word(&["object"])),
        required("properties", Form::Map(&FIELD)),
        optional("required", Form::List(&Form::Text)),
    ],
    any_of: &[],
};

const FIELD: Form = Form::Typed(&[
    ("string", &STRING),
    ("number", &NUMBER),
    ("integer", &NUMBER),
    ("boolean", &BOOLEAN),
    ("array", &LIST),
]);

static STRING: Shape = Shape {
    members: &[
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("minLength", Form::Whole),
        optional("maxLength", Form::Whole),
        optional("format", Form::Word(&["email", "uri", "date", "date-time"])),
        optional("enum", Form::List(&Form::Text)),
        optional("enumNames", Form::List(&Form::Text)),
        optional("oneOf", Form::List(&Form::Shape(&CHOICE))),
        optional("default", Form::Text),
    ],
    any_of: &[],
};

static CHOICE: Shape = Shape {
    members: &[required("const", Form::Text), required("title", Form::Text)],
    any_of: &[],
};

static NUMBER: Shape = Shape {
    members: &[
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("minimum", Form::Number),
        optional("maximum", Form::Number),
        optional("default", Form::Number),
    ],
    any_of: &[],
};

static BOOLEAN: Shape = Shape {
    members: &[
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("default", Form::Flag),
    ],
    any_of: &[],
};

static LIST: Shape = Shape {
    members: &[
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("minItems", Form::Whole),
        optional("maxItems", Form::Whole),
        required("items", Form::Shape(&CHOICES)),
        optional("default", Form::List(&Form::Text)),
    ],
    any_of: &[],
};

static CHOICES: Shape = Shape {
    members: &[
        optional("type", Form::Word(&["string"])),
        optional("enum", Form::List(&Form::Text)),
        optional("anyOf", Form::List(&Form::Shape(&CHOICE))),
    ],
    any_of: &["enum", "anyOf"],
};

/// `sampling/createMessage`: a question to the client's model.
pub const CREATE_MESSAGE: Form = Form::Shape(&CREATE_MESSAGE_PARAMS);

static CREATE_MESSAGE_PARAMS: Shape = Shape {
    members: &[
        required("messages", Form::List(&Form::Shape(&SAMPLING_MESSAGE))),
        required("maxTokens", Form::Whole),
        optional("modelPreferences", Form::Shape(&MODEL_PREFERENCES)),
        optional("systemPrompt", Form::Text),
        optional(
            "includeContext",
            Form::Word(&["none", "thisServer", "allServers"]),
        ),
        optional("temperature", Form::Number),
        optional("stopSequences", Form::List(&Form::Text)),
        optional("metadata", Form::Object),
        optional("tools", Form::List(&Form::Shape(&TOOL))),
        optional("toolChoice", Form::Shape(&TOOL_CHOICE)),
        optional("_meta", META),
    ],
    any_of: &[],
};

static SAMPLING_MESSAGE: Shape = Shape {
    members: &[
        required("role", Form::Word(&["user", "assistant"])),
        required("content", Form::OneOrList(&SAMPLING_BLOCK)),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

const SAMPLING_BLOCK: Form = Form::Typed(&[
    ("text", &TEXT),
    ("image", &BYTES),
    ("audio", &BYTES),
    ("tool_use", &TOOL_USE),
    ("tool_result", &TOOL_RESULT),
]);

static TOOL_USE: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("id", Form::Text),
        required("name", Form::Text),
        required("input", Form::Object),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static TOOL_RESULT: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("toolUseId", Form::Text),
        required("content", Form::List(&BLOCK)),
        optional("structuredContent", Form::Object),
        optional("isError", Form::Flag),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static MODEL_PREFERENCES: Shape = Shape {
    members: &[
        optional("hints", Form::List(&Form::Shape(&MODEL_HINT))),
        optional("costPriority", Form::Fraction),
        optional("speedPriority", Form::Fraction),
        optional("intelligencePriority", Form::Fraction),
    ],
    any_of: &[],
};

static MODEL_HINT: Shape = Shape {
    members: &[optional("name", Form::Text)],
    any_of: &[],
};

static TOOL: Shape = Shape {
    members: &[
        required("name", Form::Text),
        required("inputSchema", Form::Shape(&TOOL_INPUT)),
        optional("title", Form::Text),
        optional("description", Form::Text),
    ],
    any_of: &[],
};

static TOOL_INPUT: Shape = Shape {
    members: &[required("type", Form::Word(&["object"]))],
    any_of: &[],
};

static TOOL_CHOICE: Shape = Shape {
    members: &[optional("mode", Form::Word(&["auto", "none", "required"]))],
    any_of: &[],
};

/// `roots/list`: a question for the directories of a workspace.
pub const LIST_ROOTS: Form = Form::Shape(&LIST_ROOTS_PARAMS);

static LIST_ROOTS_PARAMS: Shape = Shape {
    members: &[optional("_meta", META)],
    any_of: &[],
};
