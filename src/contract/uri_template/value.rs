//! One variable's value, from the text that stands for it in an address. Decoded once, exactly or not at all.

use percent_encoding::percent_decode_str;

use super::parts::Operator;

/// The value that `text` stands for; `may_lead_anywhere` says that the program looks itself where it leads.
///
/// # Errors
/// Why it is no value for a program, in words that follow the variable's name.
pub fn read(text: &str, operator: Operator, may_lead_anywhere: bool) -> Result<String, String> {
    if !has_whole_escapes(text) {
        return Err("has a '%' without two hexadecimal digits; write '%25' for it".to_owned());
    }
    let value = percent_decode_str(text).decode_utf8();
    let value = value.map_err(|_| "is not UTF-8 once it is decoded".to_owned())?;
    if value.contains('\0') {
        return Err("has a NUL character, which no program can be given".to_owned());
    }
    let takes_slashes = matches!(operator, Operator::Reserved | Operator::Fragment);
    if takes_slashes && text.to_ascii_lowercase().contains("%2f") {
        return Err("has a '%2F', which its program could not tell from a '/'".to_owned());
    }
    if let Some(what) = way_out(&value).filter(|_| !may_lead_anywhere) {
        return Err(format!("{what}, which its template does not allow"));
    }
    Ok(value.into_owned())
}

/// Whether two hexadecimal digits stand behind each `%`.
fn has_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// How a value that is used as a path could leave the directory that it is meant for.
fn way_out(value: &str) -> Option<&'static str> {
    if value.contains('\\') {
        Some("has a backslash")
    } else if value.starts_with('/') {
        Some("begins with a '/'")
    } else if value.split('/').any(|segment| segment == "..") {
        Some("has the segment '..'")
    } else {
        None
    }
}
