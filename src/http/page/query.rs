//! What the page has already and looks for, as its requests say it.

use percent_encoding::percent_decode_str;

/// Characters of a text that is looked for.
const MAX_FIND: usize = 100;

/// `?calls=12&log=34&find=text`. What cannot be read counts as not given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The last end of a call that the page knows.
    pub calls: u64,
    /// The last line of the log that it knows.
    pub log: u64,
    /// A part of what is said of a session.
    pub find: String,
}

impl Query {
    /// Reads it.
    pub fn parse(text: Option<&str>) -> Self {
        let mut query = Self::default();
        for (name, value) in text
            .unwrap_or_default()
            .split('&')
            .filter_map(|one| one.split_once('='))
        {
            match name {
                "calls" => query.calls = value.parse().unwrap_or_default(),
                "log" => query.log = value.parse().unwrap_or_default(),
                "find" => {
                    let found = percent_decode_str(value).decode_utf8_lossy();
                    query.find = crate::text::cut(&found, MAX_FIND).to_owned();
                }
                _ => {}
            }
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_far_as_it_can_be() {
        let query = Query::parse(Some("calls=7&log=x&find=caf%C3%A9%20&other=1"));
        assert_eq!((query.calls, query.log, &*query.find), (7, 0, "café "));
        assert_eq!(Query::parse(None), Query::default());
    }
}
