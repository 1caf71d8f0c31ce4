//! Strings and numbers held against their forms.

use super::form::Form;
use super::misfit::{Misfit, must_be, unreadable};
use super::texts::{is_base64, is_exact_uri, is_iri, is_time, is_uri, is_uri_template};

/// A whole number from 0: 3 may be written as `3.0`, as whoever computes with fractions writes it.
pub(super) fn whole(json: &str) -> Option<u64> {
    /// Up to here every whole number is one that a fraction can be.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    json.parse().ok().or_else(|| {
        let number = json.parse::<f64>().ok()?;
        let is_whole = number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&number);
        is_whole.then_some(number as u64)
    })
}

/// Holds a string against `form`.
pub(super) fn text(form: &Form, json: &str) -> Result<(), Misfit> {
    if !json.starts_with('"') {
        return Err(must_be("a string", json));
    }
    if matches!(form, Form::Text) {
        return Ok(());
    }
    let decoded: String;
    let text = if json.contains('\\') {
        decoded = serde_json::from_str(json).map_err(unreadable)?;
        &decoded
    } else {
        &json[1..json.len() - 1]
    };
    let (fits, kind) = match form {
        Form::Base64 => (is_base64(text), "base64"),
        Form::Uri => (
            is_uri(text),
            "an address with a scheme, such as notes://all",
        ),
        Form::ExactUri => (
            is_exact_uri(text),
            "an address with a scheme, such as notes://all, as RFC 3986 writes it",
        ),
        Form::Iri => (
            is_iri(text),
            "an address with a scheme, such as notes://all, as RFC 3987 writes it",
        ),
        Form::UriTemplate => (
            is_uri_template(text),
            "a template of addresses, such as notes://{id}",
        ),
        Form::Time => (is_time(text), "a time such as 2025-01-12T15:00:58Z"),
        Form::Word(words) if words.contains(&text) => (true, ""),
        Form::Word(words) => {
            let words = format!("one of {}", words.join(", "));
            return Err(must_be(&words, json));
        }
        _ => (true, ""),
    };
    if fits {
        Ok(())
    } else {
        Err(must_be(kind, json))
    }
}

/// A whole number, also one that is written with a fraction of nothing.
pub(super) fn is_whole(json: &str) -> bool {
    let number = json.parse::<f64>().ok();
    number.is_some_and(|number| number.is_finite() && number.fract() == 0.0)
}
