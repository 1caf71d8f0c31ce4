//! The protocol's own types, as far as a plugin writes them itself: in its description, and in what it prints.
//! Where the revisions differ, the strictest client in use decides.
//! <https://modelcontextprotocol.io/specification/2025-11-25/schema>

use super::shape::{BlockKind, Form, Member, Need, Shape};

pub(super) const fn required(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        need: Need::Required,
    }
}

pub(super) const fn optional(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        need: Need::Optional,
    }
}

const fn decorative(name: &'static str, form: Form) -> Member {
    Member {
        name,
        form,
        need: Need::Decorative,
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
pub const ANNOTATIONS: Form = Form::Shape(&ANNOTATIONS_SHAPE);

static ANNOTATIONS_SHAPE: Shape = Shape {
    members: &[
        optional("audience", Form::List(&Form::Word(&["user", "assistant"]))),
        optional("priority", Form::Fraction),
        optional("lastModified", Form::Time),
    ],
    any_of: &[],
};

/// `annotations` of a tool.
pub const TOOL_ANNOTATIONS: Form = Form::Shape(&TOOL_ANNOTATIONS_SHAPE);

static TOOL_ANNOTATIONS_SHAPE: Shape = Shape {
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
pub const RESOURCE: Form = Form::Shape(&RESOURCE_SHAPE);

static RESOURCE_SHAPE: Shape = Shape {
    members: &[
        required("uri", Form::Iri),
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
pub const RESOURCE_TEMPLATE: Form = Form::Shape(&TEMPLATE_SHAPE);

static TEMPLATE_SHAPE: Shape = Shape {
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
pub const PROMPT: Form = Form::Shape(&PROMPT_SHAPE);

static PROMPT_SHAPE: Shape = Shape {
    members: &[
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("arguments", Form::List(&Form::Shape(&PROMPT_ARGUMENT))),
        optional("icons", ICONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static PROMPT_ARGUMENT: Shape = Shape {
    members: &[
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("required", Form::Flag),
    ],
    any_of: &[],
};

/// `_meta` of a result or of a request: any members, but of those that the protocol names each as it has it.
pub(super) const META: Form = Form::Shape(&META_SHAPE);

static META_SHAPE: Shape = Shape {
    members: &[
        optional("progressToken", Form::Token),
        optional(
            "io.modelcontextprotocol/related-task",
            Form::Shape(&RELATED_TASK),
        ),
        optional(
            "io.modelcontextprotocol/serverInfo",
            Form::Shape(&SERVER_INFO),
        ),
    ],
    any_of: &[],
};

static SERVER_INFO: Shape = Shape {
    members: &[
        required("name", Form::Text),
        required("version", Form::Text),
    ],
    any_of: &[],
};

static RELATED_TASK: Shape = Shape {
    members: &[required("taskId", Form::Text)],
    any_of: &[],
};

/// The result of a tool call.
pub static TOOL_RESULT: Shape = Shape {
    members: &[
        required("content", Form::List(&BLOCK)),
        optional("structuredContent", Form::Any),
        optional("isError", Form::Flag),
        optional("_meta", META),
    ],
    any_of: &[],
};

/// A content block of any type.
pub(super) const BLOCK: Form = Form::Block(block);

/// The type of content block of this name.
fn block(name: &str) -> (BlockKind, Option<&'static Shape>) {
    match name {
        "text" => (BlockKind::Basic, Some(&TEXT)),
        "image" => (BlockKind::Basic, Some(&BYTES)),
        "resource" => (BlockKind::Basic, Some(&EMBEDDED_RESOURCE)),
        "audio" => (BlockKind::Audio, Some(&BYTES)),
        "resource_link" => (BlockKind::ResourceLink, Some(&RESOURCE_LINK)),
        _ => (BlockKind::Other, None),
    }
}

pub(super) static TEXT: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("text", Form::Text),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

pub(super) static BYTES: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("data", Form::Base64),
        required("mimeType", Form::Text),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static EMBEDDED_RESOURCE: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("resource", Form::Shape(&RESOURCE_CONTENTS)),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static RESOURCE_LINK: Shape = Shape {
    members: &[
        required("type", Form::Text),
        required("uri", Form::Uri),
        required("name", Form::Text),
        optional("title", Form::Text),
        optional("description", Form::Text),
        optional("mimeType", Form::Text),
        decorative("size", Form::Count),
        optional("icons", ICONS),
        optional("annotations", ANNOTATIONS),
        optional("_meta", Form::Object),
    ],
    any_of: &[],
};

static RESOURCE_CONTENTS: Shape = Shape {
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
pub const READ_RESULT: Form = Form::Shape(&READ_RESULT_SHAPE);

static READ_RESULT_SHAPE: Shape = Shape {
    members: &[
        required("contents", Form::List(&Form::Shape(&RESOURCE_CONTENTS))),
        optional("_meta", META),
        optional("ttlMs", Form::Count),
        optional("cacheScope", Form::Word(&["public", "private"])),
        optional("resultType", Form::Word(&["complete"])),
    ],
    any_of: &[],
};

/// The result of getting a prompt.
pub const PROMPT_RESULT: Form = Form::Shape(&PROMPT_RESULT_SHAPE);

static PROMPT_RESULT_SHAPE: Shape = Shape {
    members: &[
        required("messages", Form::List(&Form::Shape(&PROMPT_MESSAGE))),
        optional("description", Form::Text),
        optional("_meta", META),
        optional("resultType", Form::Word(&["complete"])),
    ],
    any_of: &[],
};

static PROMPT_MESSAGE: Shape = Shape {
    members: &[
        required("role", Form::Word(&["user", "assistant"])),
        required("content", BLOCK),
    ],
    any_of: &[],
};

/// The result of completing an argument.
pub const COMPLETE_RESULT: Form = Form::Shape(&COMPLETE_RESULT_SHAPE);

static COMPLETE_RESULT_SHAPE: Shape = Shape {
    members: &[
        required("completion", Form::Shape(&COMPLETION)),
        optional("_meta", META),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_is_none_costs_no_result() {
        for (size, kept) in [
            ("3", ",\"size\":3"),
            ("3.0", ",\"size\":3"),
            ("3e2", ",\"size\":300"),
            ("-1", ""),
            ("0.5", ""),
            ("\"big\"", ""),
        ] {
            let link = |size: &str| {
                format!(
                    r#"{{"content":[{{"type":"resource_link","uri":"a://b","name":"c"{size}}}]}}"#
                )
            };
            let given = link(&format!(",\"size\":{size}"));
            let fitting = Form::Shape(&TOOL_RESULT).fitting(&given);
            assert_eq!(fitting.map(|fitting| fitting.json), Ok(link(kept)));
        }
    }
}
