//! Addresses with variables (RFC 6570, read backwards): which template an address fits, and with which values.
//!
//! Knows no plugin. Modifiers (`{x:3}`, `{x*}`) count as the plain variable.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;

/// Longer addresses fit no template: the search takes the square of their length.
const LONGEST: usize = 4_096;

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
    Query(char),
}

/// What an address says of the variables, in the order of the template.
pub type Values = Vec<(String, String)>;

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name of the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            if rest[start..].starts_with('}') {
                return Err("has a '}' without its '{'".to_owned());
            }
            if start > 0 {
                parts.push(Part::Literal(rest[..start].to_owned()));
            }
            let end = rest[start..].find('}').ok_or("has a '{' without its '}'")? + start;
            parts.push(expression(&rest[start + 1..end])?);
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
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

    /// The values with which the template gives `uri`; `None` when none do.
    pub fn matches(&self, uri: &str) -> Option<Values> {
        if uri.len() > LONGEST {
            return None;
        }
        let mut search = Search {
            template: self,
            hopeless: HashSet::new(),
        };
        let mut values = search.from(0, uri)?;
        values.reverse();
        Some(values)
    }
}

fn expression(inside: &str) -> Result<Part, String> {
    let operator = match inside.chars().next() {
        Some('+') => Operator::Reserved,
        Some('#') => Operator::Fragment,
        Some('/') => Operator::Path,
        Some('.') => Operator::Label,
        Some(mark @ ('?' | '&')) => Operator::Query(mark),
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
            return Err(format!(
                "has the expression '{{{inside}}}', which names no variable"
            ));
        }
        read.push(name.to_owned());
    }
    Ok(Part::Variables(operator, read))
}

/// A search with its dead ends, so that no end is tried twice.
struct Search<'t> {
    template: &'t UriTemplate,
    hopeless: HashSet<(usize, usize)>,
}

impl Search<'_> {
    /// The values from part `index` on, last first.
    fn from(&mut self, index: usize, rest: &str) -> Option<Values> {
        let Some(part) = self.template.parts.get(index) else {
            return rest.is_empty().then(Vec::new);
        };
        if self.hopeless.contains(&(index, rest.len())) {
            return None;
        }
        let found = match part {
            Part::Literal(text) => rest
                .strip_prefix(text.as_str())
                .and_then(|rest| self.from(index + 1, rest)),
            Part::Variables(Operator::Query(mark), names) => self.query(index, rest, *mark, names),
            Part::Variables(operator, names) => self.variables(index, rest, *operator, names),
        };
        if found.is_none() {
            self.hopeless.insert((index, rest.len()));
        }
        found
    }

    fn variables(
        &mut self,
        index: usize,
        rest: &str,
        operator: Operator,
        names: &[String],
    ) -> Option<Values> {
        let (opening, between) = match operator {
            Operator::Path => (Some('/'), '/'),
            Operator::Label => (Some('.'), '.'),
            Operator::Fragment => (Some('#'), ','),
            _ => (None, ','),
        };
        let rest = match opening {
            Some(mark) => rest.strip_prefix(mark)?,
            None => rest,
        };
        let takes_all = matches!(operator, Operator::Reserved | Operator::Fragment);
        let joins = |letter: char| names.len() > 1 && letter == between;
        let ends = |letter: char| !takes_all && "/?#".contains(letter) && !joins(letter);
        let longest = rest.find(ends).unwrap_or(rest.len());
        let stops = (1..=longest)
            .rev()
            .filter(|stop| rest.is_char_boundary(*stop));
        for stop in stops {
            let texts: Vec<&str> = match names {
                [_] => vec![&rest[..stop]],
                _ => rest[..stop].splitn(names.len(), between).collect(),
            };
            if texts.len() != names.len() || texts.iter().any(|text| text.is_empty()) {
                continue;
            }
            if let Some(mut values) = self.from(index + 1, &rest[stop..]) {
                let own = names.iter().zip(&texts).rev();
                values.extend(own.map(|(name, text)| (name.clone(), decoded(text))));
                return Some(values);
            }
        }
        None
    }

    fn query(&mut self, index: usize, rest: &str, mark: char, names: &[String]) -> Option<Values> {
        let Some(pairs) = rest.strip_prefix(mark) else {
            return self.from(index + 1, rest);
        };
        let end = pairs.find('#').unwrap_or(pairs.len());
        let mut own = Values::new();
        for pair in pairs[..end].split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = names.iter().find(|known| **known == decoded(name))?;
            own.push((known.clone(), decoded(value)));
        }
        let mut values = self.from(index + 1, &pairs[end..])?;
        values.extend(own.into_iter().rev());
        Some(values)
    }
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
        for length in [300, LONGEST + 1] {
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
