//! Bytes as the lists of cases write them: text, generated sizes, and what does not fit into JSON.

use serde::Deserialize;

/// A recipe for bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Template {
    /// Text in which `{address}`, `{port}` and the like are filled in.
    Text(String),
    /// One after the other.
    Parts(Vec<Template>),
    /// The same again and again; `{n}` in it is the number of the repetition, from 0.
    Repeat {
        repeat: Box<Template>,
        times: usize,
        /// What stands between two of them.
        #[serde(default)]
        between: String,
    },
    /// Bytes in hexadecimal.
    Hex { hex: String },
}

/// The words that are filled in: name without braces, value.
pub type Words = Vec<(&'static str, String)>;

impl Template {
    /// The bytes.
    pub fn bytes(&self, words: &Words) -> Vec<u8> {
        match self {
            Self::Text(text) => fill(text, words).into_bytes(),
            Self::Parts(parts) => parts.iter().flat_map(|part| part.bytes(words)).collect(),
            Self::Repeat {
                repeat,
                times,
                between,
            } => repeated(&repeat.bytes(words), *times, between.as_bytes()),
            Self::Hex { hex } => (0..hex.len() / 2)
                .map(|place| &hex[2 * place..2 * place + 2])
                .map(|digits| u8::from_str_radix(digits, 16).expect("cases write hex digits"))
                .collect(),
        }
    }

    /// The bytes as text.
    pub fn text(&self, words: &Words) -> String {
        String::from_utf8(self.bytes(words)).expect("this case is written as text")
    }
}

/// Fills in the words.
pub fn fill(text: &str, words: &Words) -> String {
    words.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

fn repeated(one: &[u8], times: usize, between: &[u8]) -> Vec<u8> {
    let numbered = one.windows(3).position(|three| three == b"{n}");
    if numbered.is_none() && between.is_empty() {
        return one.repeat(times);
    }
    let mut all = Vec::with_capacity((one.len() + between.len() + 6) * times);
    for number in 0..times {
        if number > 0 {
            all.extend_from_slice(between);
        }
        match numbered {
            None => all.extend_from_slice(one),
            Some(place) => {
                all.extend_from_slice(&one[..place]);
                all.extend_from_slice(number.to_string().as_bytes());
                all.extend_from_slice(&one[place + 3..]);
            }
        }
    }
    all
}
