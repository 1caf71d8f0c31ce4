//! One argument of a command: its schema, and how it is written on a command line.

use serde_json::{Map, Value};

use super::members::{Members, quoted};
use crate::text::cleaned;

/// The types that an argument may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl Kind {
    const NAMES: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    /// The one type that a schema's `type` names; `None` when it names several or none.
    pub fn of_schema(schema: &Value) -> Option<Self> {
        let word = schema.get("type")?;
        let found = Self::NAMES.iter().find(|(name, _)| word == name);
        found.map(|(_, kind)| *kind)
    }
}

/// How a value is written (`arg_style`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The option alone when true.
    Flag,
    /// The option and the value.
    Value,
    /// The value alone.
    Positional,
    /// The option before each item.
    Repeat,
    /// The option once, then all items.
    List,
    /// The option as many times as the number says.
    Count,
    /// The items alone, which take the rest of the line, options included.
    Rest,
}

/// Which items that begin with `-` an option with several values can carry (`dashes`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dashes {
    /// None: the program would take them for options.
    #[default]
    None,
    /// Negative numbers: the program has no options that look like them.
    Numbers,
    /// All: the program takes the words as they come.
    Any,
}

/// How an argument reaches the program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Writing {
    /// `None` is the usual way for the value's type.
    pub style: Option<Style>,
    /// The exact option; `None` is `--name`, with `-` for `_`.
    pub flag: Option<String>,
    /// The option that says false.
    pub negative_flag: Option<String>,
    /// How many words of `invoke` stand before it; `None` is all.
    pub level: Option<usize>,
    /// Joins option and value into one word, always.
    pub separator: Option<String>,
    /// What several values may begin with.
    pub dashes: Dashes,
    /// The environment variable that carries it instead of the command line.
    pub env: Option<String>,
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The declared name.
    pub name: String,
    /// Its type, where there is exactly one.
    pub kind: Option<Kind>,
    /// The type of an array's items, where there is exactly one.
    pub items: Option<Kind>,
    /// Whether a call must give it.
    pub required: bool,
    /// Its schema as clients see it.
    pub schema: Map<String, Value>,
    /// How it reaches the program.
    pub writing: Writing,
}

/// The name in the one spelling by which `-` and `_` are the same.
pub fn folded(name: &str) -> String {
    name.replace('-', "_")
}

/// The members of a parameter that are ours and no schema's.
const OWN: [&str; 13] = [
    "name",
    "type",
    "description",
    "required",
    "action",
    "arg_style",
    "takes_value",
    "flag",
    "negative_flag",
    "level",
    "separator",
    "dashes",
    "env",
];

/// The keywords of JSON Schema that go through; what else a description says here is no business of clients.
const KEYWORDS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "else",
    "enum",
    "enumNames",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "then",
    "title",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// Keywords beside which the contract's default type would contradict what the author says.
const SPEAK_FOR_THEMSELVES: [&str; 6] = ["$ref", "allOf", "anyOf", "oneOf", "const", "enum"];

impl Parameter {
    /// Reads one entry of `parameters`; `None` when it has no usable name.
    pub fn read(members: &Members<'_>) -> Option<Self> {
        let name = members.name("name")?;
        if let Some(fault) = fault_of_name(&name) {
            members.fault("name", &format!("{} {fault}", quoted(&name)));
            return None;
        }
        let kind = match members.value("type") {
            Some(_) => members.choice("type", &Kind::NAMES),
            None => SPEAK_FOR_THEMSELVES
                .iter()
                .all(|keyword| members.value(keyword).is_none())
                .then_some(Kind::String),
        };
        let schema = schema(members, kind);
        Some(Self {
            items: schema.get("items").and_then(Kind::of_schema),
            required: members.flag("required").unwrap_or(false),
            writing: writing(members, kind),
            name,
            kind,
            schema,
        })
    }

    /// What a property of a whole `input_schema` says about writing it.
    pub fn of_property(name: &str, schema: &Value, required: bool) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::of_schema(schema),
            items: schema.get("items").and_then(Kind::of_schema),
            required,
            schema: schema.as_object().cloned().unwrap_or_default(),
            writing: Writing::default(),
        }
    }

    /// The option's exact spelling.
    pub fn option(&self) -> String {
        let own = self.writing.flag.clone();
        own.unwrap_or_else(|| format!("--{}", self.name.replace('_', "-")))
    }
}

/// Why no option can be made of a name.
pub fn fault_of_name(name: &str) -> Option<&'static str> {
    if name.starts_with('-') {
        Some("must not begin with '-'")
    } else if name.contains(|letter: char| letter == '=' || letter.is_whitespace()) {
        Some("must have no '=' and no white space: it becomes an option")
    } else {
        None
    }
}

fn schema(members: &Members<'_>, kind: Option<Kind>) -> Map<String, Value> {
    let mut schema = Map::new();
    if let Some((word, _)) = Kind::NAMES.iter().find(|(_, known)| Some(*known) == kind) {
        schema.insert("type".to_owned(), (*word).into());
    }
    if let Some(description) = members.prose("description").filter(|text| !text.is_empty()) {
        schema.insert("description".to_owned(), description.into());
    }
    for (keyword, value) in members.all {
        let known = KEYWORDS.contains(&keyword.as_str()) || keyword.starts_with("x-");
        let says_something = !value.is_null() || keyword == "const";
        if known && says_something && !OWN.contains(&keyword.as_str()) {
            let value = match value {
                Value::String(text) if keyword == "title" => cleaned(text).into(),
                other => other.clone(),
            };
            schema.insert(keyword.clone(), value);
        }
    }
    // Models and Letta alike refuse arrays and objects that say nothing about what is in them.
    let has = |keyword: &str| schema.contains_key(keyword);
    if kind == Some(Kind::Array) && !has("items") && !has("prefixItems") {
        schema.insert("items".to_owned(), serde_json::json!({"type": "string"}));
    } else if kind == Some(Kind::Object) && !has("properties") && !has("additionalProperties") {
        schema.insert("additionalProperties".to_owned(), true.into());
    }
    schema
}

fn writing(members: &Members<'_>, kind: Option<Kind>) -> Writing {
    let negative_flag = option_words(members, "negative_flag");
    Writing {
        style: style(members, kind, negative_flag.is_some()),
        flag: option_words(members, "flag"),
        negative_flag,
        level: members.count("level").map(|level| level as usize),
        separator: members
            .choice("separator", &[("=", "="), ("", "")])
            .map(str::to_owned),
        dashes: members
            .choice(
                "dashes",
                &[
                    ("none", Dashes::None),
                    ("numbers", Dashes::Numbers),
                    ("any", Dashes::Any),
                ],
            )
            .unwrap_or_default(),
        env: variable(members),
    }
}

fn style(members: &Members<'_>, kind: Option<Kind>, has_negative: bool) -> Option<Style> {
    let given = members.choice(
        "arg_style",
        &[
            ("flag", Style::Flag),
            ("value", Style::Value),
            ("positional", Style::Positional),
            ("repeat", Style::Repeat),
            ("list", Style::List),
            ("count", Style::Count),
            ("rest", Style::Rest),
        ],
    );
    match given {
        Some(Style::Flag) if kind != Some(Kind::Boolean) => {
            members.fault("arg_style", "'flag' needs the type boolean");
            None
        }
        Some(Style::Count) if kind != Some(Kind::Integer) => {
            members.fault("arg_style", "'count' needs the type integer");
            None
        }
        Some(style) => Some(style),
        None => {
            let action = members.value("action").and_then(Value::as_str);
            let bare = matches!(action, Some("store_true" | "store_false"))
                || members.flag("takes_value") == Some(false)
                || has_negative;
            (bare && kind == Some(Kind::Boolean)).then_some(Style::Flag)
        }
    }
}

fn option_words(members: &Members<'_>, name: &str) -> Option<String> {
    let text = members.text(name)?;
    if text.is_empty()
        || text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    {
        members.fault(name, &format!("{} is not one word", quoted(&text)));
        return None;
    }
    Some(text)
}

fn variable(members: &Members<'_>) -> Option<String> {
    let name = members.text("env")?;
    let mut letters = name.bytes();
    let starts_well = letters
        .next()
        .is_some_and(|letter| letter.is_ascii_alphabetic() || letter == b'_');
    if !starts_well || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_') {
        members.fault(
            "env",
            &format!(
                "{} is not the name of an environment variable",
                quoted(&name)
            ),
        );
        return None;
    }
    if steers_programs(&name) {
        let why = "would let a caller change how the program is run; choose another variable";
        members.fault("env", &format!("{} {why}", quoted(&name)));
        return None;
    }
    Some(name)
}

/// Variables that decide what runs, rather than what it works on.
fn steers_programs(name: &str) -> bool {
    const EXACT: [&str; 8] = [
        "PATH",
        "BASH_ENV",
        "ENV",
        "IFS",
        "SHELLOPTS",
        "PERL5OPT",
        "NODE_OPTIONS",
        "RUBYOPT",
    ];
    const PREFIXES: [&str; 5] = ["LD_", "DYLD_", "PYTHON", "SMCP_", "GCONV_"];
    EXACT.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
