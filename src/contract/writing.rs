//! How an argument reaches the program: the option's spelling, where it stands, or the variable that carries it.

use super::kind::ValueType;
use super::members::Members;
use super::steering::steers_programs;
use crate::text::in_quotes;

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

/// Which values that begin with `-` an option can carry in a word of their own (`dashes`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dashes {
    /// Nothing is said: a negative number alone, but not among several values.
    #[default]
    Unsaid,
    /// None: the program would take them for options.
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
    /// Which of its values may begin with `-`.
    pub dashes: Dashes,
    /// The environment variable that carries it instead of the command line.
    pub env: Option<String>,
}

impl Writing {
    /// Reads what a parameter of the type `kind` says of its writing.
    pub fn read(members: &Members<'_>, kind: Option<ValueType>) -> Self {
        let negative_flag = option_words(members, "negative_flag");
        Self {
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
}

fn style(members: &Members<'_>, kind: Option<ValueType>, has_negative: bool) -> Option<Style> {
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
    let action = members.decoration().text("action");
    let is_bare = matches!(action.as_deref(), Some("store_true" | "store_false"));
    let takes_value = if given.is_none() && !is_bare {
        members.flag("takes_value")
    } else {
        members.decoration().flag("takes_value")
    };
    match given {
        Some(Style::Flag) if kind != Some(ValueType::Boolean) => {
            members.fault("arg_style", "'flag' needs the type boolean");
            None
        }
        Some(Style::Count) if kind != Some(ValueType::Integer) => {
            members.fault("arg_style", "'count' needs the type integer");
            None
        }
        Some(style) => Some(style),
        None => {
            let bare = is_bare || takes_value == Some(false) || has_negative;
            (bare && kind == Some(ValueType::Boolean)).then_some(Style::Flag)
        }
    }
}

fn option_words(members: &Members<'_>, name: &str) -> Option<String> {
    let text = members.text(name)?;
    let is_outside = |letter: char| letter == '=' || letter.is_whitespace() || letter.is_control();
    if text.is_empty() || text.contains(is_outside) {
        let what = format!("{} is not one word without '='", in_quotes(&text));
        members.fault(name, &what);
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
                in_quotes(&name)
            ),
        );
        return None;
    }
    if steers_programs(&name) {
        let why = "would let a caller change how the program is run; choose another variable";
        members.fault("env", &format!("{} {why}", in_quotes(&name)));
        return None;
    }
    Some(name)
}
