//! Which variables no caller, agent or description may set, because they steer how programs are run.

/// Names that decide what runs or how, rather than what it works on: a caller or an agent who may set them runs
/// code of its own in every plugin, or passes for the server.
const STEERING: [&str; 41] = [
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "EDITOR",
    "ENV",
    "GIT_ASKPASS",
    "GIT_DIR",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_TEMPLATE_DIR",
    "GLIBC_TUNABLES",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NOTIFY_SOCKET",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "RUBYLIB",
    "RUBYOPT",
    "RUBYPATH",
    "RUBYSHELL",
    "SHELL",
    "SHELLOPTS",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "VIRTUAL_ENV",
    "VISUAL",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "_JAVA_OPTIONS",
];

/// Beginnings of such names.
const STEERING_BEGINNINGS: [&str; 13] = [
    "BASH_FUNC_",
    "DYLD_",
    "GCONV_",
    "GIT_CONFIG",
    "GIT_SSH",
    "LD_",
    "LISTEN_",
    "MALLOC_",
    "MCP_API_KEY",
    "PERL5",
    "PYENV_",
    "PYTHON",
    "SMCP_",
];

/// Whether a variable of this name decides what runs or how. Programs differ in whether they mind the case, so it
/// does not count.
pub fn steers_programs(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let begins_so = |beginning: &&str| upper.starts_with(beginning);
    STEERING.contains(&upper.as_str()) || STEERING_BEGINNINGS.iter().any(begins_so)
}
