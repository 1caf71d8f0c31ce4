//! What is said to be in force is what a start uses: given as variables alone, it makes the same start.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser as _;

use super::settings::{SETTINGS, Setting, by_variable};
use super::*;
use crate::cli::Cli;

type Variables = BTreeMap<&'static str, String>;

/// One start: the variables, the settings file, the flags.
#[derive(Debug, Default, Clone)]
struct Start {
    variables: Variables,
    file: Variables,
    flags: Vec<String>,
}

/// What a start comes to: what it does, and what it says is in force.
struct Outcome {
    does: String,
    rows: BTreeMap<&'static str, (String, Option<Origin>)>,
}

/// The directories and files that settings name.
struct Scene {
    directory: tempfile::TempDir,
    /// What starts by variables alone do: most of them are made many times.
    known: RefCell<HashMap<Variables, Option<String>>>,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            directory: tempfile::tempdir().expect("there is room"),
            known: RefCell::default(),
        };
        std::fs::create_dir(scene.path("directory")).expect("there is room");
        let profiles =
            r#"{"default_profile": "few", "profiles": {"few": {"mode": "explicit", "tools": []}}}"#;
        scene.write("profiles.json", profiles);
        scene.write("secret", "the secret of a file");
        scene
    }

    fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_str()
            .expect("it is text")
            .to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("there is room");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), private).expect("it is ours");
    }

    /// A value that is not the default, and what has to be set for it to matter.
    fn sample(&self, setting: &Setting) -> (String, Variables) {
        let mut needs = Variables::new();
        let mut need = |name, value: &str| needs.insert(name, value.to_owned());
        let name = setting.variable;
        if name.starts_with("OTEL_") {
            need("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
        }
        if name.starts_with("LETTA_") || name == "SMCP_LETTA_CREDENTIALS" {
            need("LETTA_SERVER_URL", "http://127.0.0.1:9");
            if !name.starts_with("LETTA_SERVER_PASSWORD") {
                need("LETTA_SERVER_PASSWORD", "a password");
            }
        }
        if name.contains("_TASK") {
            need("MCP_STATE_DIR", &self.path("state"));
        }
        if name == "MCP_CACHE" {
            need("MCP_CACHE_DIR", &self.path("cache"));
        }
        let value = match (name, setting.kind) {
            ("MCP_HOST", _) => "127.0.0.2".to_owned(),
            ("MCP_ROOT_PATH", _) => "/below".to_owned(),
            ("MCP_UI_ADMINS", _) => "01234567".to_owned(),
            ("MCP_ALLOWED_ORIGINS", _) => "https://app.example".to_owned(),
            ("MCP_TASK_TTL", _) => "7h".to_owned(),
            ("MCP_MAX_OUTPUT_BYTES" | "MCP_MAX_WAITING_BYTES" | "MCP_MAX_TASK_BYTES", _) => {
                "2000000".to_owned()
            }
            ("MCP_LOG_LEVEL", _) => "DEBUG".to_owned(),
            ("MCP_LOG_ROTATION", _) => "time".to_owned(),
            ("MCP_LOG_FILE", _) => "another.log".to_owned(),
            ("LETTA_ENV_SCOPE", _) => "agent".to_owned(),
            ("LETTA_SERVER_URL", _) => "http://127.0.0.1:7".to_owned(),
            ("SMCP_ATTACH_PROFILE", _) => {
                need("SMCP_PROFILES", &self.path("profiles.json"));
                "full".to_owned()
            }
            ("SMCP_PROFILES", _) => self.path("profiles.json"),
            ("SMCP_ADMIN_PREFIX", _) => "tasks__".to_owned(),
            ("OTEL_TRACES_SAMPLER", _) => "always_off".to_owned(),
            ("OTEL_TRACES_SAMPLER_ARG", _) => {
                need("OTEL_TRACES_SAMPLER", "traceidratio");
                "0.5".to_owned()
            }
            ("OTEL_TRACES_EXPORTER", _) => "none".to_owned(),
            (_, Kind::Text) if name.ends_with("ENDPOINT") => "http://127.0.0.1:8/x".to_owned(),
            (_, Kind::Text) if name.ends_with("HEADERS") || name.ends_with("ATTRIBUTES") => {
                "name=value".to_owned()
            }
            (_, Kind::Text) if name.ends_with("PROTOCOL") => "http/json".to_owned(),
            (_, Kind::Path) if name.ends_with("_FILE") => self.path("secret"),
            (_, Kind::Path) => self.path("directory"),
            (_, Kind::Program) => "/usr/bin/python-of-the-test".to_owned(),
            (_, Kind::Switch) => {
                let start = Start::default();
                let known = self.outcome(&start).expect("nothing is wrong");
                let default = known.rows.get(name).map(|(value, _)| value.as_str());
                (default != Some("true")).to_string()
            }
            (_, Kind::Whole) => "7".to_owned(),
            (_, Kind::Number) => "0.5".to_owned(),
            (_, Kind::Time) => "7s".to_owned(),
            (_, Kind::Text | Kind::List) => "sample".to_owned(),
        };
        needs.remove(name);
        (value, needs)
    }

    /// `None` where nothing would start.
    fn outcome(&self, start: &Start) -> Option<Outcome> {
        let mut text = String::new();
        for (name, value) in &start.file {
            let setting = by_variable(name).expect("it is listed");
            let value = match setting.kind {
                Kind::Switch | Kind::Whole | Kind::Number => value.clone(),
                _ => toml_edit::Value::from(value.as_str()).to_string(),
            };
            text += &format!("{} = {value}\n", setting.key());
        }
        self.write("system.toml", &text);
        let environment: Vec<(OsString, OsString)> = start
            .variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let line = ["smcp"]
            .into_iter()
            .chain(start.flags.iter().map(String::as_str));
        let flags = Cli::try_parse_from(line)
            .expect("these are flags")
            .settings();
        let mut reader = Reader::new(&environment);
        let system = Some(Path::new(&self.path("system.toml")).to_owned());
        let (purpose, sockets) = (Purpose::Http, Vec::new());
        let config = read_all(&mut reader, purpose, &flags, environment, sockets, system);
        let does = does(config.ok()?);
        let rows = SETTINGS.iter().filter_map(|setting| {
            let (value, origin) = reader.in_force(setting.variable);
            Some((setting.variable, (value?, origin)))
        });
        Some(Outcome {
            does,
            rows: rows.collect(),
        })
    }

    /// What of that which is in force does not make the same start; nothing where nothing would start. `subject` is in
    /// force only if that makes a difference.
    fn misfits(&self, start: &Start, subject: Option<&str>) -> Vec<String> {
        let Some(Outcome { does, rows }) = self.outcome(start) else {
            return Vec::new();
        };
        let mut misfits = Vec::new();
        let given = rows.iter().filter(|(_, (_, origin))| origin.is_some());
        let given: Variables = given
            .map(|(name, (value, _))| (*name, value.clone()))
            .collect();
        let differs = |variables: &Variables| {
            let again = self.known.borrow().get(variables).cloned();
            let again = again.unwrap_or_else(|| {
                let start = Start {
                    variables: variables.clone(),
                    ..Start::default()
                };
                let made = self.outcome(&start).map(|outcome| outcome.does);
                let mut known = self.known.borrow_mut();
                known.insert(variables.clone(), made.clone());
                made
            });
            let Some(again) = again else {
                return Some("it does not start".to_owned());
            };
            let lines = does.lines().zip(again.lines());
            let other = lines.filter(|(one, other)| one != other);
            let other: Vec<_> = other
                .map(|(one, other)| format!("{one} => {other}"))
                .collect();
            (again != does).then(|| other.join("; "))
        };
        if let Some(what) = differs(&given) {
            misfits.push(format!("{start:?}: in force {given:?}: {what}"));
        }
        // What nobody has given is said as well.
        let mut all = given.clone();
        for (name, (value, _)) in &rows {
            // To name these directories is a wish of its own: to be told when they cannot be used.
            if !["MCP_CACHE_DIR", "MCP_PLUGINS_DIR"].contains(name) {
                all.entry(name).or_insert_with(|| value.clone());
            }
        }
        if let Some(what) = differs(&all) {
            misfits.push(format!("{start:?}: with defaults {all:?}: {what}"));
        }
        // In which form spans are sent is not to be chosen; other forms are only warned of.
        let subject = subject.filter(|name| !name.ends_with("PROTOCOL"));
        let mut without = given.clone();
        if let Some(name) = subject
            && without.remove(name).is_some()
            && differs(&without).is_none()
        {
            misfits.push(format!(
                "{start:?}: in force {given:?}, and {name} makes no difference"
            ));
        }
        misfits
    }
}

/// All that a server does by its settings. Where the keys and the files are is the concern of a reload.
fn does(config: Config) -> String {
    let mut catalog = config.catalog.clone();
    // Variables reach plugins, whether or not they are settings.
    catalog.environment.clear();
    // What is not shown, for it may be secret.
    let credentials = catalog.reserved.variables.clone();
    let spans = config.traces.as_ref().map(|traces| {
        let headers = traces.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.clone(), value.as_bytes().to_owned()))
            .collect();
        let (endpoint, resource) = (traces.endpoint.clone(), traces.resource.clone());
        (endpoint, headers, traces.delay, resource)
    });
    let config = Config {
        files: Vec::new(),
        keys: KeySources::default(),
        key_in_shell: false,
        notices: Vec::new(),
        mistakes: Vec::new(),
        catalog,
        ..config
    };
    format!("{config:#?}\n{credentials:?}\n{spans:?}")
}

#[track_caller]
fn assert_none(misfits: &[String]) {
    assert!(
        misfits.is_empty(),
        "{} misfits:\n{}",
        misfits.len(),
        misfits.join("\n")
    );
}

fn one(name: &'static str, value: &str) -> Variables {
    Variables::from([(name, value.to_owned())])
}

fn with(mut variables: Variables, more: Variables) -> Variables {
    variables.extend(more);
    variables
}

#[test]
fn every_setting_is_in_force_as_it_was_given_wherever_that_was() {
    let scene = Scene::new();
    let mut misfits = Vec::new();
    for setting in SETTINGS {
        let name = setting.variable;
        let (sample, needs) = scene.sample(setting);
        let own = one(name, &sample);
        let by_variable = Start {
            variables: with(needs.clone(), own.clone()),
            ..Start::default()
        };
        let by_file = Start {
            variables: needs.clone(),
            file: own.clone(),
            ..Start::default()
        };
        for start in [&by_variable, &by_file] {
            let outcome = scene.outcome(start).unwrap_or_else(|| panic!("{start:?}"));
            assert!(outcome.rows[name].1.is_some(), "{start:?}");
            misfits.extend(scene.misfits(start, Some(name)));
        }
        let flag = setting
            .flag
            .map(|flag| vec![flag.to_owned(), sample.clone()]);
        let alone = setting.flag_alone.map(|(flag, _)| vec![flag.to_owned()]);
        for flags in [flag, alone].into_iter().flatten() {
            let mut start = by_variable.clone();
            // Both ask for a key, or serve nobody without one.
            start
                .variables
                .insert("MCP_API_KEY", "the key of the test".to_owned());
            start.flags = flags.clone();
            for variables in [Variables::new(), one(name, " "), own.clone()] {
                let start = Start {
                    variables: with(one("MCP_API_KEY", "a key of the test"), variables),
                    ..start.clone()
                };
                let outcome = scene.outcome(&start).unwrap_or_else(|| panic!("{start:?}"));
                assert!(
                    matches!(outcome.rows[name].1, Some(Origin::Flag(_))),
                    "{start:?}"
                );
                misfits.extend(scene.misfits(&start, None));
            }
        }
    }
    assert_none(&misfits);
}

#[test]
fn blank_and_odd_values_are_in_force_only_as_far_as_a_start_uses_them() {
    let scene = Scene::new();
    let mut misfits = Vec::new();
    for setting in SETTINGS {
        let name = setting.variable;
        let (sample, needs) = scene.sample(setting);
        for odd in ["", " ", "\u{a0}", "\"\"", "\" \"", ",", "perhaps"] {
            for file in [Variables::new(), one(name, &sample)] {
                let variables = with(needs.clone(), one(name, odd));
                let flags = Vec::new();
                let start = Start {
                    variables,
                    file,
                    flags,
                };
                // What is odd may be a name, or a text, as good as any.
                let is_text = matches!(setting.kind, Kind::Text | Kind::Path | Kind::Program);
                let is_blank = odd.trim().is_empty();
                // A list of nothing counts where a file has another one.
                let is_none = odd == "," && !setting.is_secret;
                let subject = (!is_text && !is_none || is_blank).then_some(name);
                misfits.extend(scene.misfits(&start, subject));
            }
        }
    }
    assert_none(&misfits);
}

/// Some things can be said in two ways, of which one counts.
#[test]
fn what_is_said_in_another_way_is_in_force_in_that_way_alone() {
    let scene = Scene::new();
    let (mut pairs, mut misfits) = (Vec::new(), Vec::new());
    for setting in SETTINGS {
        let name = setting.variable;
        let general = name.replace("_TRACES", "");
        let of_file = format!("{name}_FILE");
        let others = [general, of_file];
        let others = others.iter().filter(|other| *other != name);
        pairs.extend(others.filter_map(|other| Some((setting, by_variable(other)?))));
    }
    assert!(pairs.len() >= 8, "{}", pairs.len());
    for (one_way, other_way) in pairs {
        let (own, mut needs) = scene.sample(one_way);
        let (other, more) = scene.sample(other_way);
        needs.extend(more);
        let [one_way, other_way] = [one_way, other_way].map(|setting| setting.variable);
        needs.remove(one_way);
        needs.remove(other_way);
        // Another value, where the two may be the same.
        let other = match by_variable(other_way).expect("it is listed").kind {
            Kind::Whole => "8".to_owned(),
            _ => other.replace("name=", "other=").replace(":8/x", ":6/x"),
        };
        let (own, other) = (one(one_way, &own), one(other_way, &other));
        for (by_variable, by_file) in [(&own, &other), (&other, &own)] {
            let start = Start {
                variables: with(needs.clone(), by_variable.clone()),
                file: by_file.clone(),
                ..Start::default()
            };
            assert!(scene.outcome(&start).is_some(), "{start:?}");
            for subject in [one_way, other_way] {
                misfits.extend(scene.misfits(&start, Some(subject)));
            }
        }
    }
    assert_none(&misfits);
}

/// What a service manager and Letta's own file have.
#[test]
fn what_is_found_in_other_places_is_in_force_and_says_where() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path(".letta")).expect("there is room");
    let text = "export LETTA_SERVER_PASSWORD=a-password\n";
    scene.write(".letta/.env", text);
    scene.write("MCP_API_KEYS", "the key of a credential");
    let variables = with(
        one("HOME", &scene.path("")),
        one("CREDENTIALS_DIRECTORY", &scene.path("")),
    );
    let start = Start {
        variables: variables.clone(),
        ..Start::default()
    };
    let outcome = scene.outcome(&start).expect("nothing is wrong");
    assert!(outcome.does.contains("a-password"), "{}", outcome.does);
    let origin = |name: &str| outcome.rows[name].1.clone();
    let elsewhere = |place: &str| Some(Origin::Elsewhere(place.to_owned()));
    assert_eq!(
        origin("MCP_API_KEYS"),
        elsewhere("the credential MCP_API_KEYS")
    );
    let file = Path::new(&scene.path("")).join(".letta/.env");
    let file = file.to_str().expect("it is text");
    assert_eq!(origin("LETTA_SERVER_PASSWORD"), elsewhere(file));
    let url = &outcome.rows["LETTA_SERVER_URL"];
    assert_eq!(url, &("http://127.0.0.1:8284".to_owned(), None));
    // What is set counts more, as ever.
    let own = one("LETTA_SERVER_PASSWORD", "another");
    let start = Start {
        variables: with(variables, own),
        file: one("MCP_API_KEYS", "another"),
        ..Start::default()
    };
    let outcome = scene.outcome(&start).expect("nothing is wrong");
    let origin = |name: &str| outcome.rows[name].1.clone();
    assert_eq!(origin("LETTA_SERVER_PASSWORD"), Some(Origin::Environment));
    assert!(matches!(origin("MCP_API_KEYS"), Some(Origin::File(_))));
}
