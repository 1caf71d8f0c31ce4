//! Addresses with variables (RFC 6570, read backwards): which template an address fits, and with which values.
//!
//! Knows no plugin. Modifiers (`{x:3}`, `{x*}`) count as the plain variable.

use percent_encoding::percent_decode_str;

use super::faults::Fault;
use crate::text::in_quotes;

/// Longer addresses fit no template: the search takes memory for each of their bytes and each part of the template.
pub const MAX_URI_BYTES: usize = 4_096;

/// How many literals, expressions and variables a template may have.
const MAX_PARTS: usize = 64;

/// A template such as `notes://{id}{?part}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variables(Operator, Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `{x}`: up to the next `/`, `?` or `#`.
    Plain,
    /// `{+x}`: anything.
    Reserved,
    /// `{#x}`: anything after a `#`.
    Fragment,
    /// `{/x}`: a segment of its own.
    Path,
    /// `{.x}`: after a dot.
    Label,
    /// `{?x}` and `{&x}`: `x=…`, in any order, each of them optional.
    Query(u8),
}

/// What an address says of the variables, in the order of the template.
pub type Values = Vec<(String, String)>;

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name of the field.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            if rest[start..].starts_with('}') {
                return Err(Fault::new("has a '}' without its '{'"));
            }
            if start > 0 {
                parts.push(Part::Literal(rest[..start].to_owned()));
            }
            let unclosed = || Fault::new("has a '{' without its '}'");
            let end = rest[start..].find('}').ok_or_else(unclosed)? + start;
            parts.push(expression(&rest[start + 1..end])?);
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        let template = Self { parts };
        let count = template.parts.len().max(template.variables().count());
        if count > MAX_PARTS {
            let what = format!("has {count} parts; at most {MAX_PARTS} are read");
            return Err(Fault::new(what));
        }
        Ok(template)
    }

    /// The variables' names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Literal(_) => &[],
                Part::Variables(_, names) => names.as_slice(),
            })
            .map(String::as_str)
    }

    /// The values with which the template gives `uri`; `None` when none do. Of several ways the one counts whose
    /// first variables take most.
    pub fn matches(&self, uri: &str) -> Option<Values> {
        if uri.len() > MAX_URI_BYTES {
            return None;
        }
        let scans: Vec<Scan<'_>> = self.parts.iter().map(|part| Scan::new(part, uri)).collect();
        let mut after = Fits::only_at(uri.len());
        let mut fits = Vec::with_capacity(scans.len());
        for scan in scans.iter().rev() {
            let here = scan.fits(&after);
            fits.push(std::mem::replace(&mut after, here));
        }
        let mut values = Values::new();
        let mut at = 0;
        for (scan, after) in scans.iter().zip(fits.iter().rev()) {
            let end = scan.end(at, after)?;
            scan.read(at, end, &mut values);
            at = end;
        }
        Some(values)
    }
}

fn expression(inside: &str) -> Result<Part, Fault> {
    let operator = match inside.chars().next() {
        Some('+') => Operator::Reserved,
        Some('#') => Operator::Fragment,
        Some('/') => Operator::Path,
        Some('.') => Operator::Label,
        Some(mark @ ('?' | '&')) => Operator::Query(mark as u8),
        _ => Operator::Plain,
    };
    let names = if operator == Operator::Plain {
        inside
    } else {
        &inside[1..]
    };
    let mut read = Vec::new();
    for name in names.split(',') {
        let name = name
            .split(':')
            .next()
            .unwrap_or_default()
            .trim_end_matches('*');
        let fits = |letter: char| letter.is_alphanumeric() || "_.%-".contains(letter);
        if name.is_empty() || !name.chars().all(fits) {
            let expression = in_quotes(&format!("{{{inside}}}"));
            let what = format!("has the expression {expression}, which names no variable");
            return Err(Fault::new(what));
        }
        read.push(name.to_owned());
    }
    Ok(Part::Variables(operator, read))
}

/// Where in an address the rest of a template fits: at each byte, the nearest such place at or before it.
struct Fits(Vec<Option<usize>>);

impl Fits {
    /// At the end of an address alone.
    fn only_at(end: usize) -> Self {
        let mut places = vec![None; end + 1];
        places[end] = Some(end);
        Self(places)
    }

    fn at(&self, place: usize) -> bool {
        self.0.get(place) == Some(&Some(place))
    }

    /// The last place from `first` to `last`.
    fn last_within(&self, first: usize, last: usize) -> Option<usize> {
        self.0[last].filter(|place| *place >= first)
    }
}

/// One part of a template and an address, with what lets each byte of the address be looked at once: the search
/// goes through the parts backwards, so that no address takes more than the parts times its bytes.
struct Scan<'a> {
    part: &'a Part,
    uri: &'a str,
    /// From each byte on, the first place that a variable's value does not go over.
    ends: Vec<usize>,
    /// From each byte on, the first mark between two variables of the expression.
    marks: Vec<usize>,
    /// For each byte, whether pairs of a query that begin there all have known names.
    known_pairs: Vec<bool>,
}

impl<'a> Scan<'a> {
    fn new(part: &'a Part, uri: &'a str) -> Self {
        let mut scan = Self {
            part,
            uri,
            ends: Vec::new(),
            marks: Vec::new(),
            known_pairs: Vec::new(),
        };
        match part {
            Part::Literal(_) => {}
            Part::Variables(Operator::Query(_), names) => {
                scan.ends = next_places(uri, |letter| letter == b'#');
                scan.marks = next_places(uri, |letter| b"&#".contains(&letter));
                scan.find_known_pairs(names);
            }
            Part::Variables(operator, names) => {
                let takes_all = matches!(operator, Operator::Reserved | Operator::Fragment);
                let between = operator.between();
                let joins = |letter: u8| names.len() > 1 && letter == between;
                scan.ends = next_places(uri, |letter| {
                    !takes_all && b"/?#".contains(&letter) && !joins(letter)
                });
                scan.marks = next_places(uri, |letter| letter == between);
            }
        }
        scan
    }

    fn find_known_pairs(&mut self, names: &[String]) {
        let longest = names.iter().map(String::len).max().unwrap_or(0);
        let mut known = vec![false; self.uri.len() + 1];
        for at in (0..=self.uri.len()).rev() {
            let end = self.marks[at];
            if !self.uri.is_char_boundary(at) {
                continue;
            }
            let (name, _) = pair(&self.uri[at..end]);
            // A letter is three when it is percent-encoded.
            let is_known = name.len() <= 3 * longest && names.contains(&decoded(name));
            let goes_on = self.uri.as_bytes().get(end) == Some(&b'&');
            known[at] = is_known && (!goes_on || known[end + 1]);
        }
        self.known_pairs = known;
    }

    /// Where this part and those after it fit.
    fn fits(&self, after: &Fits) -> Fits {
        let mut nearest = None;
        let places = (0..=self.uri.len()).map(|at| {
            if self.uri.is_char_boundary(at) && self.end(at, after).is_some() {
                nearest = Some(at);
            }
            nearest
        });
        Fits(places.collect())
    }

    /// Where this part ends when it begins at `at`, as late as the parts after it allow.
    fn end(&self, at: usize, after: &Fits) -> Option<usize> {
        match self.part {
            Part::Literal(text) => {
                let end = at + text.len();
                (self.uri[at..].starts_with(text.as_str()) && after.at(end)).then_some(end)
            }
            Part::Variables(Operator::Query(mark), _) => {
                if self.uri.as_bytes().get(at) != Some(mark) {
                    return after.at(at).then_some(at);
                }
                let end = self.ends[at + 1];
                (self.known_pairs[at + 1] && after.at(end)).then_some(end)
            }
            Part::Variables(operator, names) => {
                let begin = operator.value_at(self.uri, at)?;
                let longest = self.ends[begin];
                let mut last = begin;
                for _ in 1..names.len() {
                    let mark = self.marks[last];
                    if mark == last || mark >= longest {
                        return None;
                    }
                    last = mark + 1;
                }
                after.last_within(last + 1, longest)
            }
        }
    }

    /// What the variables of this part are when it stands from `at` to `end`.
    fn read(&self, at: usize, end: usize, values: &mut Values) {
        let Part::Variables(operator, names) = self.part else {
            return;
        };
        if let Operator::Query(_) = operator {
            if at < end {
                let pairs = self.uri[at + 1..end].split('&').map(pair);
                values.extend(pairs.map(|(name, value)| (decoded(name), decoded(value))));
            }
        } else if let Some(begin) = operator.value_at(self.uri, at) {
            let texts = self.uri[begin..end].splitn(names.len(), char::from(operator.between()));
            let own = names.iter().zip(texts);
            values.extend(own.map(|(name, text)| (name.clone(), decoded(text))));
        }
    }
}

impl Operator {
    /// What stands between the values of two variables.
    fn between(self) -> u8 {
        match self {
            Self::Path => b'/',
            Self::Label => b'.',
            _ => b',',
        }
    }

    /// Where the first value begins when the expression stands at `at`: behind the mark that introduces it.
    fn value_at(self, uri: &str, at: usize) -> Option<usize> {
        let opening = match self {
            Self::Path => b'/',
            Self::Label => b'.',
            Self::Fragment => b'#',
            _ => return Some(at),
        };
        (uri.as_bytes().get(at) == Some(&opening)).then_some(at + 1)
    }
}

/// For each byte, the first place at or behind it where `is_one` holds, else the end.
fn next_places(uri: &str, is_one: impl Fn(u8) -> bool) -> Vec<usize> {
    let mut places = vec![uri.len(); uri.len() + 1];
    let mut next = uri.len();
    for (at, letter) in uri.bytes().enumerate().rev() {
        if is_one(letter) {
            next = at;
        }
        places[at] = next;
    }
    places
}

fn pair(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, uri: &str) -> Option<Vec<(String, String)>> {
        UriTemplate::parse(template)
            .expect("a template")
            .matches(uri)
    }

    #[test]
    fn an_address_gives_the_variables_that_made_it() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: &[(&str, &str, Variables)] = &[
            (
                "test://template/{id}/data",
                "test://template/7/data",
                &[("id", "7")],
            ),
            ("notes://{id}", "notes://a%20b", &[("id", "a b")]),
            (
                "file:///{+path}",
                "file:///a/b/c.txt",
                &[("path", "a/b/c.txt")],
            ),
            ("x://{a}-{b}", "x://1-2-3", &[("a", "1-2"), ("b", "3")]),
            ("x://{a,b}", "x://1,2", &[("a", "1"), ("b", "2")]),
            ("x:/{/a}/z", "x://1/z", &[("a", "1")]),
            ("x:{/a,b}", "x:/1/2", &[("a", "1"), ("b", "2")]),
            ("x://n{.kind}", "x://n.txt", &[("kind", "txt")]),
            ("x://n{#part}", "x://n#one/two", &[("part", "one/two")]),
            (
                "x://n{?q,page}",
                "x://n?page=2&q=a%26b",
                &[("page", "2"), ("q", "a&b")],
            ),
            ("x://n{?q}", "x://n", &[]),
            ("x://{a}{b}", "x://123", &[("a", "12"), ("b", "3")]),
            ("x://{a,b}/z", "x://1,2,3/z", &[("a", "1"), ("b", "2,3")]),
            ("x://ü{a}", "x://üñ", &[("a", "ñ")]),
            ("x://{*id}", "", &[]),
        ];
        for (template, uri, expected) in cases {
            if uri.is_empty() {
                assert!(UriTemplate::parse(template).is_err(), "{template}");
                continue;
            }
            let expected: Vec<_> = expected
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!(values(template, uri), Some(expected), "{template} {uri}");
        }
    }

    #[test]
    fn an_address_of_another_shape_does_not_fit() {
        for (template, uri) in [
            ("notes://{id}", "notes://"),
            ("notes://{id}", "notes://a/b"),
            ("notes://{id}/text", "notes://a"),
            ("x://n{?q}", "x://n?other=1"),
            ("x://{a,b}", "x://1"),
        ] {
            assert_eq!(values(template, uri), None, "{template} {uri}");
        }
    }

    #[test]
    fn a_hostile_address_is_searched_in_bounded_time() {
        let template = "x:".to_owned() + &"{a}{b}".repeat(20) + "!";
        for length in [300, MAX_URI_BYTES - 2, MAX_URI_BYTES + 1] {
            assert_eq!(
                values(&template, &("x:".to_owned() + &"a".repeat(length))),
                None
            );
        }
    }

    #[test]
    fn a_broken_template_is_refused() {
        for text in ["x://{", "x://}", "x://{}", "x://{a b}", "{a}{"] {
            assert!(UriTemplate::parse(text).is_err(), "{text}");
        }
    }
}
