//! The protocol's own types, as far as a plugin writes them itself: in its description, and in what it prints.
//! Where the revisions differ, the strictest client in use decides.
//! <https://modelcontextprotocol.io/specification/2025-11-25/schema>

use super::shape::{BlockKind, Form, Member, Shape};

const fn required(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        required: true,
    }
}

const fn optional(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        required: false,
    }
}

/// `icons`.
pub const ICONS: Form = Form::List(&Form::Shape(&ICON));

static ICON: Shape = Shape {
    members: &[
        required("src", Form::ExactUri),
        optional("mimeType", Form::Text),
        optional("sizes", Form::List(&Form::Text)),
        optional("theme", Form::Word(&["light", "dark"])),
    ],
    any_of: &[],
};

/// `annotations` of everything but tools.
pub const ANNOTATIONS: Form = Form::Shape(&NOTES);

static NOTES: Shape = Shape {
    members: &[
        optional("audience", Form::List(&Form::Word(&["user", "assistant"]))),
        optional("priority", Form::Share),
        optional("lastModified", Form::Time),
    ],
    any_of: &[],
};

/// `annotations` of a tool.
pub const TOOL_ANNOTATIONS: Form = Form::Shape(&HINTS);

static HINTS: Shape = Shape {
    members: &[
        optional("title", Form::Text),
        optional("readOnlyHint", Form::Flag),
        optional("destructiveHint", Form::Flag),
        optional("idempotentHint", Form::Flag),
        optional("openWorldHint", Form::Flag),
    ],
    any_of: &[],
};

/// An entry of `resources/list`.
pub const RESOURCE: Form = Form::Shape(&RESOURCE_ENTRY);

static RESOURCE_ENTRY: Shape = Shape {
    members: &[
        required("uri", Form::ExactUri),
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("mimeType", Form::Text),
        optional("size", Form::Count),
        optional("annotations", ANNOTATIONS),
        optional("icons", ICONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

/// An entry of `resources/templates/list`.
pub const RESOURCE_TEMPLATE: Form = Form::Shape(&TEMPLATE_ENTRY);

static TEMPLATE_ENTRY: Shape = Shape {
    members: &[
        required("uriTemplate", Form::UriTemplate),
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("mimeType", Form::Text),
        optional("annotations", ANNOTATIONS),
        optional("icons", ICONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

/// An entry of `prompts/list`.
pub const PROMPT: Form = Form::Shape(&PROMPT_ENTRY);

static PROMPT_ENTRY: Shape = Shape {
    members: &[
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("arguments", Form::List(&Form::Shape(&ARGUMENT))),
        optional("icons", ICONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static ARGUMENT: Shape = Shape {
    members: &[
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("required", Form::Flag),
    ],
    any_of: &[],
};

/// The result of a tool call.
pub static TOOL_RESULT: Shape = Shape {
    members: &[
        required("content", Form::List(&BLOCK)),
        optional("structuredContent", Form::Any),
        optional("isError", Form::Flag),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

const BLOCK: Form = Form::Block(block);

/// The type of content block of this name.
fn block(name: &str) -> (BlockKind, Option<&'static Shape>) {
    match name {
        "text" => (BlockKind::Basic, Some(&TEXT)),
        "image" => (BlockKind::Basic, Some(&BYTES)),
        "resource" => (BlockKind::Basic, Some(&EMBEDDED)),
        "audio" => (BlockKind::Audio, Some(&BYTES)),
        "resource_link" => (BlockKind::ResourceLink, Some(&LINK)),
        _ => (BlockKind::Other, None),
    }
}

static TEXT: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("text", Form::Text),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static BYTES: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("data", Form::Base64),
        required("mimeType", Form::Text),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static EMBEDDED: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("resource", Form::Shape(&CONTENTS)),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static LINK: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("uri", Form::Uri),
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("mimeType", Form::Text),
        optional("size", Form::Count),
        optional("icons", ICONS),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static CONTENTS: Shape = Shape {
    members: &[
        required("uri", Form::Uri),
        optional("mimeType", Form::Text),
        optional("text", Form::Text),
        optional("blob", Form::Base64),
        optional("_meta", Form::Object),
    ],
    any_of: &["text", "blob"],
};

/// The result of reading a resource.
pub const READ_RESULT: Form = Form::Shape(&READ);

static READ: Shape = Shape {
    members: &[
        required("contents", Form::List(&Form::Shape(&CONTENTS))),
        optional("_meta", Form::Object),
        optional("ttlMs", Form::Count),
        optional("cacheScope", Form::Word(&["public", "private"])),
        optional("resultType", Form::Word(&["complete"])),
    ],
    any_of: &[],
};

/// The result of getting a prompt.
pub const PROMPT_RESULT: Form = Form::Shape(&GOT);

static GOT: Shape = Shape {
    members: &[
        required("messages", Form::List(&Form::Shape(&MESSAGE))),
        optional("description", Form::Text),
        optional("_meta", Form::Object),
        optional("resultType", Form::Word(&["complete"])),
    ],
    any_of: &[],
};

static MESSAGE: Shape = Shape {
    members: &[
        required("role", Form::Word(&["user", "assistant"])),
        required("content", BLOCK),
    ],
    any_of: &[],
};

/// The result of completing an argument.
pub const COMPLETE_RESULT: Form = Form::Shape(&COMPLETED);

static COMPLETED: Shape = Shape {
    members: &[
        required("completion", Form::Shape(&COMPLETION)),
        optional("_meta", Form::Object),
        optional("resultType", Form::Word(&["complete"])),
    ],
    any_of: &[],
};

static COMPLETION: Shape = Shape {
    members: &[
        required("values", Form::List(&Form::Text)),
        optional("total", Form::Count),
        optional("hasMore", Form::Flag),
    ],
    any_of: &[],
};
