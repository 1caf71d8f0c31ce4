//! One line of a help page: its indentation, its columns, its form as a title or as a row of names.
//!
//! Knows nothing of the lines around it.

/// How far from the left a line begins, in columns; a tab reaches to the next eighth.
pub fn indent_of(line: &str) -> usize {
    let white = line.chars().take_while(|letter| letter.is_whitespace());
    white.fold(0, |column, letter| match letter {
        '\t' => column / 8 * 8 + 8,
        _ => column + 1,
    })
}

/// `Core commands:`, `CORE COMMANDS` and `Basic Commands (Beginner):` as lower case without the ends; `None` for a line
/// that is no title.
pub fn title_of(line: &str) -> Option<String> {
    let has_colon = line.ends_with(':');
    let shouted = line.chars().any(char::is_alphabetic) && !line.chars().any(char::is_lowercase);
    if line.len() > 100 || line.starts_with('-') || !(has_colon || shouted) {
        return None;
    }
    let title = line.trim_end_matches(':').trim_end();
    let title = match title.rsplit_once(" (") {
        Some((title, inside)) if inside.ends_with(')') => title,
        _ => title,
    };
    Some(title.to_lowercase())
}

/// Whether a title, as [`title_of`] gives it, stands above commands.
pub fn names_commands(title: &str) -> bool {
    let last = title.rsplit(' ').next().unwrap_or_default();
    matches!(last, "commands" | "subcommands" | "sub-commands")
        || title.starts_with("these are common")
}

/// The names of a line such as npm's `access, adduser, audit,`.
pub fn listed_in_a_row(line: &str, goes_on: bool) -> Option<Vec<&str>> {
    let names: Vec<&str> = line
        .trim_end_matches(',')
        .split(',')
        .map(str::trim)
        .collect();
    let several = names.len() > 2 || line.ends_with(',') || goes_on;
    (several && names.iter().all(|name| is_command_name(name))).then_some(names)
}

/// `b   Compile it` of the entry `build, b   Compile it` as `Compile it`.
pub fn without_aliases<'a>(word: &str, description: &'a str) -> &'a str {
    match split_columns(description) {
        (aliases, text) if word.ends_with(',') && aliases.split(", ").all(is_command_name) => text,
        _ => description,
    }
}

/// Left and right column of a line: two spaces or a tab stand between them.
pub fn split_columns(line: &str) -> (&str, &str) {
    let gap = line.find("  ").into_iter().chain(line.find('\t')).min();
    gap.map_or((line, ""), |place| {
        (line[..place].trim_end(), line[place..].trim_start())
    })
}

/// Whether it can be the name of a tool.
pub fn is_command_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.bytes().all(plain)
}
