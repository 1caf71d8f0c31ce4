//! The search for the variables of a template in an address.

use percent_encoding::percent_decode_str;

use super::parts::{Operator, Part, Raw};

/// Where the variables of `parts` stand in `uri`; `None` when it is of another shape.
pub fn find<'a>(parts: &[Part], uri: &'a str) -> Option<Vec<Raw<'a>>> {
    let scans: Vec<Scan<'_, 'a>> = parts.iter().map(|part| Scan::new(part, uri)).collect();
    let mut after = Fits::only_at(uri.len());
    let mut fits = Vec::with_capacity(scans.len());
    for scan in scans.iter().rev() {
        let here = scan.fits(&after);
        fits.push(std::mem::replace(&mut after, here));
    }
    let mut found = Vec::new();
    let mut at = 0;
    for (scan, after) in scans.iter().zip(fits.iter().rev()) {
        let end = scan.end(at, after)?;
        scan.read(at, end, &mut found);
        at = end;
    }
    Some(found)
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
struct Scan<'p, 'a> {
    part: &'p Part,
    uri: &'a str,
    /// From each byte on, the first place that a variable's value does not go over.
    ends: Vec<usize>,
    /// From each byte on, the first mark between two variables of the expression.
    marks: Vec<usize>,
    /// For each byte, whether pairs of a query that begin there all have known names.
    known_pairs: Vec<bool>,
}

impl<'p, 'a> Scan<'p, 'a> {
    fn new(part: &'p Part, uri: &'a str) -> Self {
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

    /// What stands for the variables of this part when it goes from `at` to `end`.
    fn read(&self, at: usize, end: usize, found: &mut Vec<Raw<'a>>) {
        let Part::Variables(operator, names) = self.part else {
            return;
        };
        let raw = |name, text| Raw {
            name,
            text,
            operator: *operator,
        };
        let uri = self.uri;
        if let Operator::Query(_) = operator {
            if at < end {
                let pairs = uri[at + 1..end].split('&').map(pair);
                found.extend(pairs.map(|(name, text)| raw(decoded(name), text)));
            }
        } else if let Some(begin) = operator.value_at(uri, at) {
            let texts = uri[begin..end].splitn(names.len(), char::from(operator.between()));
            let own = names.iter().zip(texts);
            found.extend(own.map(|(name, text)| raw(name.clone(), text)));
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

/// A variable's name in a query. What is no name of one is compared and passed on nowhere.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
