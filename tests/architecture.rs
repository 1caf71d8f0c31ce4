//! The floors of `ARCHITECTURE.md`, read from that page and held against every path in `src`.
//!
//! Knows the language only as far as its paths: `use` trees and inline paths, macros' insides included.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The sources by their path below `src`, such as `plugins/argv.rs`.
type Sources = BTreeMap<String, String>;

/// What `ARCHITECTURE.md` decides.
struct Plan {
    /// Floor and place of each file, in the order of the page: the top floor first.
    places: BTreeMap<String, Place>,
    /// Pairs of rooms that never meet.
    walls: Vec<(String, String)>,
    /// Rooms of which another room sees these files alone.
    windows: Vec<Window>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    floor: u32,
    line: usize,
}

struct Window {
    from: String,
    into: String,
    shows: Vec<String>,
}

/// One file that names something of another.
struct Arrow {
    from: String,
    to: String,
    path: String,
}

#[test]
fn every_arrow_points_down() {
    let faults = arrow_faults(&plan(), &sources());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_source_file_has_a_place_in_the_architecture() {
    let plan = plan();
    let homeless: Vec<_> = sources()
        .into_keys()
        .filter(|file| !is_tests(file) && !plan.places.contains_key(file))
        .collect();
    assert!(
        homeless.is_empty(),
        "no line of ARCHITECTURE.md's floors names {}; add each where it stands",
        homeless.join(", ")
    );
}

#[test]
fn the_architecture_names_no_file_that_is_gone() {
    let sources = sources();
    let gone: Vec<_> = plan()
        .places
        .into_keys()
        .filter(|file| !sources.contains_key(file))
        .collect();
    assert!(
        gone.is_empty(),
        "ARCHITECTURE.md's floors name {}, which src does not have",
        gone.join(", ")
    );
}

#[test]
fn walls_and_windows_stand_between_rooms_that_exist() {
    let plan = plan();
    let known = |room: &String| {
        plan.places
            .keys()
            .any(|file| file.starts_with(room.as_str()))
    };
    let rooms = plan.walls.iter().flat_map(|(a, b)| [a, b]);
    let rooms = rooms.chain(plan.windows.iter().flat_map(|window| {
        [&window.from, &window.into]
            .into_iter()
            .chain(&window.shows)
    }));
    let unknown: Vec<_> = rooms.filter(|room| !known(room)).cloned().collect();
    assert!(
        unknown.is_empty(),
        "ARCHITECTURE.md's walls name {}, which no floor has",
        unknown.join(", ")
    );
}

#[test]
fn only_config_reads_the_environment() {
    let faults = environment_faults(&sources());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    let drawers = ["util", "utils", "helper", "helpers", "common", "misc"];
    let found: Vec<_> = sources()
        .into_keys()
        .filter(|file| {
            file.trim_end_matches(".rs")
                .split('/')
                .any(|part| drawers.contains(&part))
        })
        .collect();
    assert!(
        found.is_empty(),
        "{} says nothing about what it owns; name it by its noun",
        found.join(", ")
    );
}

const SYNTHETIC_PLAN: &str = "```floors\n3  lib.rs\n2  door/a.rs\n   door/mod.rs\n   back.rs\n1  low/call.rs\n   low/inner.rs\n   low/mod.rs\n```\n\
                              ```walls\ndoor/ | back.rs\ndoor/ > low/ : low/call.rs low/mod.rs\n```\n";

/// Each wrong arrow of a made-up crate, with a part of the complaint it must cause.
const WRONG_ARROWS: &[(&str, &str, &str)] = &[
    (
        "low/call.rs",
        "use crate::door::a::Thing;",
        "low/call.rs uses crate::door::a::Thing",
    ),
    (
        "low/call.rs",
        "use crate::{low::inner::{self, X}, other};",
        "low/call.rs uses crate::low::inner ",
    ),
    (
        "low/call.rs",
        "fn f() { println!(\"{}\", crate::door::x()); }",
        "low/call.rs uses crate::door::x",
    ),
    (
        "low/inner.rs",
        "use super::Face;",
        "low/inner.rs uses super::Face",
    ),
    (
        "low/call.rs",
        "mod inside { use super::super::inner::Y; }",
        "low/call.rs uses super::super::inner::Y",
    ),
    (
        "low/call.rs",
        "type T = Vec<crate::door::a::T>;",
        "low/call.rs uses crate::door::a::T",
    ),
    ("back.rs", "use crate::door::a;", "never meet"),
    ("door/a.rs", "use crate::low::inner::X;", "sees only"),
    (
        "low/mod.rs",
        "use crate::Root;",
        "low/mod.rs uses crate::Root (lib.rs)",
    ),
];

#[test]
fn every_kind_of_wrong_arrow_is_caught() {
    for (file, source, complaint) in WRONG_ARROWS {
        let faults = arrow_faults(
            &read_plan(SYNTHETIC_PLAN),
            &Sources::from([((*file).to_owned(), (*source).to_owned())]),
        );
        assert!(
            faults.iter().any(|fault| fault.contains(complaint)),
            "{file}: {source} caused {faults:?}"
        );
    }
}

#[test]
fn right_arrows_texts_and_visibilities_are_left_alone() {
    let right = [
        (
            "low/mod.rs",
            "pub mod call; mod inner; pub use inner::X; use self::call::Y;",
        ),
        (
            "low/inner.rs",
            "/// See [`crate::door::a`].\nuse super::call::Z; // crate::door\nconst S: &str = \"crate::door::a\";",
        ),
        (
            "low/call.rs",
            "pub(in crate::low) fn f() {} pub(crate) mod tests { use super::*; }",
        ),
        (
            "door/a.rs",
            "use crate::low::{call::X, Face}; use std::env::current_dir;",
        ),
        ("lib.rs", "pub mod door; pub mod low;"),
    ];
    let sources: Sources = right
        .iter()
        .map(|(file, source)| ((*file).to_owned(), (*source).to_owned()))
        .collect();
    assert_eq!(
        arrow_faults(&read_plan(SYNTHETIC_PLAN), &sources),
        Vec::<String>::new()
    );
    assert_eq!(environment_faults(&sources), Vec::<String>::new());
}

#[test]
fn every_way_of_reading_the_environment_is_caught() {
    for source in [
        "fn f() { std::env::var(\"A\"); }",
        "use std::env::{self, vars_os};",
        "use std::env; fn f() { env::var_os(\"A\"); }",
        "use std::env::*;",
    ] {
        let sources = Sources::from([("low/call.rs".to_owned(), source.to_owned())]);
        assert_eq!(environment_faults(&sources).len(), 1, "{source}");
        let sources = Sources::from([("config/mod.rs".to_owned(), source.to_owned())]);
        assert_eq!(environment_faults(&sources).len(), 0, "{source}");
    }
}

/// A `tests.rs`, with the files of a folder `tests`, is the lower half of the file it tests, moved out for its length.
fn is_tests(file: &str) -> bool {
    file.rsplit('/').next() == Some("tests.rs") || file.contains("/tests/")
}

/// The arrows that break the plan, each as one line that says which rule.
fn arrow_faults(plan: &Plan, sources: &Sources) -> Vec<String> {
    let files: BTreeSet<&str> = plan
        .places
        .keys()
        .chain(sources.keys())
        .map(String::as_str)
        .collect();
    let arrows = sources
        .iter()
        .flat_map(|(file, source)| arrows_of(file, source, &files));
    arrows.filter_map(|arrow| fault_of(plan, &arrow)).collect()
}

fn fault_of(plan: &Plan, arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, path } = arrow;
    let (Some(own), Some(target)) = (plan.places.get(from), plan.places.get(to)) else {
        return None; // a file without a place is the complaint of another test
    };
    let complaint = if target.floor > own.floor {
        format!("on floor {} above its own, {}", target.floor, own.floor)
    } else if target.floor == own.floor && target.line > own.line {
        "which stands after it on the same floor".to_owned()
    } else if plan
        .walls
        .iter()
        .any(|(a, b)| meets(arrow, a, b) || meets(arrow, b, a))
    {
        "a room that it must never meet".to_owned()
    } else if let Some(window) = plan
        .windows
        .iter()
        .find(|w| meets(arrow, &w.from, &w.into) && !w.shows.contains(to))
    {
        format!("but {} sees only {}", window.from, window.shows.join(", "))
    } else {
        return None;
    };
    Some(format!("src/{from} uses {path} ({to}), {complaint}"))
}

fn meets(arrow: &Arrow, from: &str, to: &str) -> bool {
    arrow.from.starts_with(from) && arrow.to.starts_with(to)
}

fn arrows_of(file: &str, source: &str, files: &BTreeSet<&str>) -> Vec<Arrow> {
    let root = Root::of(file);
    let mut arrows = Vec::new();
    for used in paths_in(file, source) {
        let Some(target) = root.absolute(&used).and_then(|path| file_of(&path, files)) else {
            continue;
        };
        if target != file {
            arrows.push(Arrow {
                from: file.to_owned(),
                to: target,
                path: used.segments.join("::"),
            });
        }
    }
    arrows
}

/// Where paths of a file begin.
struct Root {
    module: Vec<String>,
    /// A program's own file: the crate is named there, and `crate` is the program itself.
    program: bool,
}

impl Root {
    fn of(file: &str) -> Self {
        let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
        let program = stem == "main" || stem.starts_with("bin/");
        let module = if program || stem == "lib" {
            Vec::new()
        } else {
            stem.split('/').map(str::to_owned).collect()
        };
        Self { module, program }
    }

    /// The path from the crate's root, where it begins in this crate at all.
    fn absolute(&self, used: &Used) -> Option<Vec<String>> {
        let mut rest = used.segments.as_slice();
        let mut base = match rest.first()?.as_str() {
            "smcp" if self.program => Vec::new(),
            "crate" if !self.program => Vec::new(),
            "self" | "super" if !self.program => {
                self.module.iter().chain(&used.inside).cloned().collect()
            }
            _ => return None,
        };
        if rest[0] != "super" {
            rest = &rest[1..];
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }
}

/// The file that defines the longest part of the path; the rest are items in it.
fn file_of(path: &[String], files: &BTreeSet<&str>) -> Option<String> {
    (1..=path.len())
        .rev()
        .flat_map(|end| {
            [
                format!("{}.rs", path[..end].join("/")),
                format!("{}/mod.rs", path[..end].join("/")),
            ]
        })
        .chain(["lib.rs".to_owned()])
        .find(|file| files.contains(file.as_str()))
}

fn environment_faults(sources: &Sources) -> Vec<String> {
    let readers = [
        "var",
        "var_os",
        "vars",
        "vars_os",
        "set_var",
        "remove_var",
        "*",
    ];
    let reads = |used: &Used| {
        used.segments
            .windows(2)
            .any(|pair| pair[0] == "env" && readers.contains(&pair[1].as_str()))
    };
    let mut faults = Vec::new();
    for (file, source) in sources
        .iter()
        .filter(|(file, _)| !file.starts_with("config/"))
    {
        for used in paths_in(file, source).iter().filter(|used| reads(used)) {
            faults.push(format!(
                "src/{file} uses {}; config/ alone reads the environment",
                used.segments.join("::")
            ));
        }
    }
    faults
}

/// One path as it is written, a `use` tree's branches each by itself.
struct Used {
    segments: Vec<String>,
    /// The modules within the file that stand around it.
    inside: Vec<String>,
}

fn paths_in(file: &str, source: &str) -> Vec<Used> {
    let tokens: TokenStream = source
        .parse()
        .unwrap_or_else(|error| panic!("src/{file} cannot be read as Rust: {error}"));
    let mut found = Vec::new();
    collect(tokens, &[], &mut found);
    found
}

fn collect(tokens: TokenStream, inside: &[String], found: &mut Vec<Used>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at..] {
            [TokenTree::Ident(word), TokenTree::Group(scope), ..]
                if word == "pub" && scope.delimiter() == Delimiter::Parenthesis =>
            {
                at += 2
            }
            [
                TokenTree::Ident(word),
                TokenTree::Ident(name),
                TokenTree::Group(body),
                ..,
            ] if word == "mod" => {
                let inner: Vec<String> = inside.iter().cloned().chain([name.to_string()]).collect();
                collect(body.stream(), &inner, found);
                at += 3;
            }
            [TokenTree::Ident(_), rest @ ..] if is_double_colon(rest) => {
                let mut branches = Vec::new();
                at += branches_of(&tokens[at..], &mut Vec::new(), &mut branches);
                found.extend(branches.into_iter().map(|segments| Used {
                    segments,
                    inside: inside.to_vec(),
                }));
            }
            [TokenTree::Group(group), ..] => {
                collect(group.stream(), inside, found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Reads one path or `use` tree from the front of `tokens`; says how many tokens it took.
fn branches_of(
    tokens: &[TokenTree],
    prefix: &mut Vec<String>,
    branches: &mut Vec<Vec<String>>,
) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(segment)) if depth > 0 && at == 0 && segment == "self" => at += 1,
            Some(TokenTree::Ident(segment)) => {
                prefix.push(segment.to_string());
                at += 1;
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                prefix.push("*".to_owned());
                at += 1;
            }
            Some(TokenTree::Group(tree)) if tree.delimiter() == Delimiter::Brace && at > 0 => {
                let tree: Vec<TokenTree> = tree.stream().into_iter().collect();
                for branch in tree.split(
                    |token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','),
                ) {
                    if !branch.is_empty() {
                        branches_of(branch, prefix, branches);
                    }
                }
                prefix.truncate(depth);
                return at + 1;
            }
            _ => break,
        }
        if !is_double_colon(&tokens[at..])
            || matches!(tokens.get(at + 2), Some(TokenTree::Punct(open)) if open.as_char() == '<')
        {
            break;
        }
        at += 2;
    }
    branches.push(prefix.clone());
    prefix.truncate(depth);
    at.max(1)
}

fn is_double_colon(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(a), TokenTree::Punct(b), ..] if a.as_char() == ':' && b.as_char() == ':')
}

fn plan() -> Plan {
    read_plan(&read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("ARCHITECTURE.md")
            .as_path(),
    ))
}

fn read_plan(page: &str) -> Plan {
    let mut floor = None;
    let mut places = BTreeMap::new();
    for (line, text) in block(page, "floors").into_iter().enumerate() {
        let mut words = text.split_whitespace().peekable();
        if let Some(number) = words.peek().and_then(|word| word.parse().ok()) {
            floor = Some(number);
            words.next();
        }
        let file = words
            .next()
            .unwrap_or_else(|| panic!("a floor without a file: '{text}'"));
        let place = Place {
            floor: floor.expect("the first line of the floors begins with its number"),
            line,
        };
        assert!(
            places.insert(file.to_owned(), place).is_none(),
            "{file} stands twice in ARCHITECTURE.md"
        );
    }
    let mut plan = Plan {
        places,
        walls: Vec::new(),
        windows: Vec::new(),
    };
    for text in block(page, "walls") {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [a, "|", b, ..] => plan.walls.push((a.to_owned(), b.to_owned())),
            [from, ">", into, ":", ..] => {
                plan.windows.push(Window {
                    from: from.to_owned(),
                    into: into.to_owned(),
                    shows: words[4..].to_vec(),
                });
            }
            _ => panic!("'{text}' is neither 'a | b' nor 'a > b : files of b'"),
        }
    }
    plan
}

/// The lines of the page's one block that is fenced with this name.
fn block<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let fence = format!("```{name}");
    let lines: Vec<&str> = page
        .lines()
        .skip_while(|line| line.trim() != fence)
        .skip(1)
        .take_while(|line| line.trim() != "```")
        .collect();
    assert!(
        !lines.is_empty(),
        "no block fenced with {fence} in ARCHITECTURE.md"
    );
    lines
        .into_iter()
        .filter(|line| !line.trim().is_empty())
        .collect()
}

fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Sources::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("a folder that opened can be listed").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .expect("it was found below src")
                    .to_string_lossy()
                    .into_owned();
                sources.insert(name, read(&path));
            }
        }
    }
    assert!(sources.len() > 5, "src was not found");
    sources
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
