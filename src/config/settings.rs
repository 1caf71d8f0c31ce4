//! The list of all settings: what each is called in the environment, on the command line and in a file.

use strsim::damerau_levenshtein;

/// The settings file of this machine.
pub const SYSTEM: &str = "/etc/smcp/smcp.toml";

/// How a setting is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string. What is not absolute begins at the directory of the file.
    Path,
    /// A string: a path as above where it has a slash in it, else a name that is looked for in `PATH`.
    Program,
    /// `true` or `false`.
    Switch,
    /// An integer.
    Whole,
    /// An integer or a float.
    Number,
    /// An integer or a float in seconds, or a string with a unit.
    Time,
    /// An array of strings, or one string in which commas stand between the entries.
    List,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    /// The flag with a value, if it has one.
    pub flag: Option<&'static str>,
    /// A flag without a value that says the same as this value does in a file.
    pub flag_alone: Option<(&'static str, &'static str)>,
    /// How it is written in a file.
    pub kind: Kind,
    /// Whether no message may show it.
    pub is_secret: bool,
    /// Whether it is the address of another server, in which a password may stand.
    pub is_address: bool,
    /// Whether it decides who may call the server, what it listens on, which secrets it uses or where it writes its log.
    /// The file among the plugins cannot set it: docs/decisions/0023-settings-files.md.
    pub is_guarded: bool,
    /// Whether version 3 or its guides knew it and took any value. A value that cannot be used must not end a start that
    /// went well before: in the environment it has no effect, and a warning says so.
    pub is_forgiven: bool,
}

impl Setting {
    const fn new(variable: &'static str, kind: Kind) -> Self {
        Self {
            variable,
            flag: None,
            flag_alone: None,
            kind,
            is_secret: false,
            is_address: false,
            is_guarded: false,
            is_forgiven: false,
        }
    }

    const fn guarded(variable: &'static str, kind: Kind) -> Self {
        Self {
            is_guarded: true,
            ..Self::new(variable, kind)
        }
    }

    const fn secret(variable: &'static str, kind: Kind) -> Self {
        Self {
            is_secret: true,
            ..Self::guarded(variable, kind)
        }
    }

    const fn address(variable: &'static str) -> Self {
        Self {
            is_address: true,
            ..Self::guarded(variable, Kind::Text)
        }
    }

    const fn flag(self, flag: &'static str) -> Self {
        Self {
            flag: Some(flag),
            ..self
        }
    }

    const fn flag_alone(self, flag: &'static str, value: &'static str) -> Self {
        Self {
            flag_alone: Some((flag, value)),
            ..self
        }
    }

    const fn forgiven(self) -> Self {
        Self {
            is_forgiven: true,
            ..self
        }
    }

    /// What it is called in a file: the variable without `MCP_` or `SMCP_`, in lower case.
    pub fn key(&self) -> String {
        let bare = ["MCP_", "SMCP_"]
            .iter()
            .find_map(|start| self.variable.strip_prefix(start));
        bare.unwrap_or(self.variable).to_ascii_lowercase()
    }
}

/// All of them, in the order of docs/configuration.md.
pub const SETTINGS: &[Setting] = &[
    Setting::guarded("MCP_HOST", Kind::Text)
        .flag("--host")
        .flag_alone("--allow-external", "\"0.0.0.0\""),
    Setting::new("MCP_PORT", Kind::Whole).flag("--port"),
    Setting::guarded("MCP_PLUGINS_DIR", Kind::Path).flag("--plugins-dir"),
    Setting::new("MCP_PLUGIN_TIMEOUT", Kind::Time)
        .flag("--plugin-timeout")
        .forgiven(),
    Setting::new("MCP_MAX_OUTPUT_BYTES", Kind::Whole),
    Setting::new("MCP_PYTHON", Kind::Program),
    Setting::new("MCP_CACHE_DIR", Kind::Path).flag("--cache-dir"),
    Setting::new("MCP_CACHE", Kind::Switch).flag_alone("--no-cache", "false"),
    Setting::new("MCP_PLUGIN_ENVS", Kind::Switch),
    Setting::new("MCP_WATCH", Kind::Switch).flag_alone("--no-watch", "false"),
    Setting::guarded("MCP_ALLOW_WRITABLE_PLUGINS", Kind::Switch),
    Setting::new("MCP_MAX_CALLS", Kind::Whole),
    Setting::new("MCP_MAX_COMPUTING", Kind::Whole),
    Setting::new("MCP_BACKGROUND", Kind::Switch),
    Setting::new("MCP_MAX_BACKGROUND", Kind::Whole),
    Setting::new("MCP_SERVICES", Kind::Switch),
    Setting::new("MCP_WARM", Kind::Switch),
    Setting::new("MCP_WARM_MAX_MB", Kind::Whole),
    Setting::new("MCP_MAX_SESSIONS", Kind::Whole),
    Setting::new("MCP_MAX_WAITING_BYTES", Kind::Whole),
    Setting::new("MCP_DRAIN_DELAY", Kind::Time),
    Setting::new("MCP_KEEP_ALIVE", Kind::Time),
    Setting::new("MCP_MAX_CONNECTIONS", Kind::Whole),
    Setting::secret("MCP_API_KEY", Kind::Text),
    Setting::secret("MCP_API_KEYS", Kind::List),
    Setting::guarded("MCP_API_KEY_FILE", Kind::Path),
    Setting::guarded("MCP_API_KEYS_FILE", Kind::Path),
    Setting::guarded("MCP_AUTH_ALLOW_LOOPBACK", Kind::Switch).flag_alone("--require-auth", "false"),
    Setting::guarded("MCP_AUTH_DISABLED", Kind::Switch).forgiven(),
    Setting::guarded("MCP_ALLOWED_HOSTS", Kind::List),
    Setting::guarded("MCP_ALLOWED_ORIGINS", Kind::List),
    Setting::guarded("MCP_ROOT_PATH", Kind::Text),
    Setting::guarded("MCP_STATE_DIR", Kind::Path),
    Setting::new("MCP_TASK_TTL", Kind::Time),
    Setting::new("MCP_MAX_TASKS", Kind::Whole),
    Setting::new("MCP_MAX_TASK_BYTES", Kind::Whole),
    Setting::guarded("MCP_UI", Kind::Switch),
    Setting::guarded("MCP_UI_ADMINS", Kind::List),
    Setting::new("SMCP_PROFILES", Kind::Path),
    Setting::new("SMCP_ATTACH_PROFILE", Kind::Text),
    Setting::new("SMCP_ADMIN_PREFIX", Kind::Text),
    Setting::new("MCP_SSE_MANIFEST", Kind::Switch),
    Setting::address("LETTA_SERVER_URL"),
    Setting::secret("LETTA_SERVER_PASSWORD", Kind::Text),
    Setting::secret("LETTA_API_KEY", Kind::Text),
    Setting::guarded("LETTA_SERVER_PASSWORD_FILE", Kind::Path),
    Setting::guarded("LETTA_API_KEY_FILE", Kind::Path),
    Setting::guarded("LETTA_AGENT_ID", Kind::Text),
    Setting::guarded("LETTA_ENV_SCOPE", Kind::Text),
    Setting::guarded("SMCP_LETTA_CREDENTIALS", Kind::List),
    Setting::guarded("MCP_LOG_LEVEL", Kind::Text).forgiven(),
    Setting::guarded("MCP_LOG_JSON", Kind::Switch).forgiven(),
    Setting::guarded("MCP_LOG_FILE", Kind::Text),
    Setting::guarded("MCP_LOG_DIR", Kind::Path),
    Setting::guarded("MCP_LOG_ROTATION", Kind::Text).forgiven(),
    Setting::guarded("MCP_LOG_MAX_BYTES", Kind::Whole).forgiven(),
    Setting::guarded("MCP_LOG_BACKUP_COUNT", Kind::Whole).forgiven(),
    Setting::guarded("MCP_DISABLE_FILE_LOG", Kind::Switch).forgiven(),
    Setting::address("OTEL_EXPORTER_OTLP_ENDPOINT"),
    Setting::address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    Setting::secret("OTEL_EXPORTER_OTLP_HEADERS", Kind::Text),
    Setting::secret("OTEL_EXPORTER_OTLP_TRACES_HEADERS", Kind::Text),
    Setting::guarded("OTEL_EXPORTER_OTLP_TIMEOUT", Kind::Whole),
    Setting::guarded("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", Kind::Whole),
    Setting::guarded("OTEL_BSP_SCHEDULE_DELAY", Kind::Whole),
    Setting::guarded("OTEL_SERVICE_NAME", Kind::Text),
    Setting::guarded("OTEL_RESOURCE_ATTRIBUTES", Kind::Text),
    Setting::guarded("OTEL_TRACES_SAMPLER", Kind::Text),
    Setting::guarded("OTEL_TRACES_SAMPLER_ARG", Kind::Number),
    Setting::guarded("OTEL_SDK_DISABLED", Kind::Switch),
    Setting::guarded("OTEL_TRACES_EXPORTER", Kind::Text),
    Setting::guarded("OTEL_EXPORTER_OTLP_PROTOCOL", Kind::Text),
    Setting::guarded("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", Kind::Text),
];

/// What is read of the environment and is no setting: what other programs say there to every program.
pub const SURROUNDINGS: [&str; 5] = [
    "CREDENTIALS_DIRECTORY",
    "HOME",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "NO_COLOR",
];

/// The setting with this variable.
pub fn by_variable(variable: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|known| known.variable == variable)
}

/// The setting with this key.
pub fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|known| known.key() == key)
}

/// The variable or the flag that a variable's name most likely stands for, if any is like it.
pub fn variable_meant_by(name: &str) -> Option<&'static str> {
    // What an outer smcp says to the program that started this one; it is like a setting.
    if name == "SMCP_PLUGIN_DIR" {
        return None;
    }
    let alone = SETTINGS
        .iter()
        .filter_map(|known| Some(known.flag_alone?.0));
    if let Some(flag) = alone.into_iter().find(|flag| name == as_variable(flag)) {
        return Some(flag);
    }
    let upper = name.to_ascii_uppercase();
    // Other programs have variables too: only what begins as ours do can be meant for us.
    if !upper.starts_with("MCP_") && !upper.starts_with("SMCP_") {
        return None;
    }
    let bare = |name: &str| name.trim_start_matches('S').to_owned();
    SETTINGS
        .iter()
        .map(|known| known.variable)
        .map(|known| (damerau_levenshtein(&bare(&upper), &bare(known)), known))
        .filter(|(distance, known)| is_near(*distance, name_in(&upper), name_in(known)))
        .min()
        .map(|(_, known)| known)
}

/// A variable's name without what all of them begin with.
fn name_in(variable: &str) -> &str {
    let bare = variable.trim_start_matches('S');
    bare.strip_prefix("MCP_").unwrap_or(bare)
}

/// Whether two names that differ in so many letters are likely to be one, misspelled: of a short one, most letters
/// differ soon.
fn is_near(distance: usize, one: &str, other: &str) -> bool {
    let shorter = one.len().min(other.len());
    distance <= (shorter / 3).clamp(1, 3)
}

/// The line of a file that somebody most likely meant who wrote `key`, as far as it can be said.
pub fn line_meant_by(key: &str) -> Option<String> {
    let plain = key.trim_start_matches('-').replace('-', "_");
    for known in SETTINGS {
        if known.variable.eq_ignore_ascii_case(&plain) {
            return Some(known.key());
        }
        match known.flag_alone {
            Some((flag, value)) if flag[2..].replace('-', "_").eq_ignore_ascii_case(&plain) => {
                return Some(format!("{} = {value}", known.key()));
            }
            _ => {}
        }
    }
    let plain = plain.to_ascii_lowercase();
    SETTINGS
        .iter()
        .map(Setting::key)
        .map(|known| (damerau_levenshtein(&plain, &known), known))
        .filter(|(distance, known)| is_near(*distance, &plain, known))
        .min()
        .map(|(_, known)| known)
}

/// The variable that somebody may expect beside a flag.
fn as_variable(flag: &str) -> String {
    let words = flag.trim_start_matches('-').replace('-', "_");
    format!("MCP_{}", words.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_settings_have_a_name_in_common() {
        let mut names: Vec<String> = SETTINGS.iter().map(Setting::key).collect();
        names.extend(SETTINGS.iter().map(|known| known.variable.to_owned()));
        names.extend(
            SETTINGS
                .iter()
                .filter_map(|known| Some(known.flag?.to_owned())),
        );
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_misspelled_variable_is_known_by_the_likely_one() {
        for (name, meant) in [
            ("MCP_PLUGIN_DIR", Some("MCP_PLUGINS_DIR")),
            ("SMCP_PLUGINS_DIR", Some("MCP_PLUGINS_DIR")),
            ("MCP_PROT", Some("MCP_PORT")),
            ("mcp_port", Some("MCP_PORT")),
            ("MCP_PROFILE", Some("SMCP_PROFILES")),
            ("MCP_REQUIRE_AUTH", Some("--require-auth")),
            ("MCP_WEATHER_TOKEN", None),
            ("MCP_PATH", None),
            ("MCP_POTR", Some("MCP_PORT")),
            ("MCP_MAX_TASK", Some("MCP_MAX_TASKS")),
            ("MCP_MAX_OUTPUT_BITES", Some("MCP_MAX_OUTPUT_BYTES")),
            ("PORT", None),
            ("SMCP_PLUGIN_DIR", None),
        ] {
            assert_eq!(variable_meant_by(name), meant, "{name}");
        }
    }

    #[test]
    fn a_misspelled_key_is_known_by_the_likely_one_and_so_are_variables_and_flags() {
        for (key, meant) in [
            ("prot", Some("port")),
            ("MCP_PORT", Some("port")),
            ("SMCP_PROFILES", Some("profiles")),
            ("plugin-dir", Some("plugins_dir")),
            ("maxcalls", Some("max_calls")),
            ("require_auth", Some("auth_allow_loopback = false")),
            ("allow-external", Some("host = \"0.0.0.0\"")),
            ("no_cache", Some("cache = false")),
            ("weather_token", None),
            ("x", None),
        ] {
            assert_eq!(line_meant_by(key).as_deref(), meant, "{key}");
        }
    }
}
