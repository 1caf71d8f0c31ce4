//! Numbers as texts: no digit of them is lost, whatever a float could hold.

use serde_json::Value;

/// What a text that is a number is in JSON, and the value that a schema is held against; `None` for any other text,
/// and for a number that no float comes near.
///
/// `007`, `+5`, `.5` and `5.` are numbers to programs and none to JSON: they lose or gain a zero.
pub fn as_json(text: &str) -> Option<(String, Value)> {
    let (sign, number) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => number.split_at(at),
        None => (number, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let json = [sign, whole, point, fraction, exponent].concat();
    let value = serde_json::from_str(&json).ok()?;
    Some((json, value))
}

/// `5.0` and `1e3` as the digits that programs read as integers; `None` for what is no integer. The number is one
/// that a JSON reader took, so that it has no more than 309 digits before its point, however it is written.
pub fn integer_digits(number: &str) -> Option<String> {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let leading_zeros = digits.len() - significant.len();
    let significant = significant.trim_end_matches('0');
    let exponent: i64 = exponent.parse().ok()?;
    // How many of the significant digits, or of zeros behind them, stand before the point.
    let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading_zeros).ok()?;
    let before_point = usize::try_from(point.checked_add(exponent)?).ok()?;
    let zeros = before_point.checked_sub(significant.len())?;
    (before_point <= MAX_DIGITS).then(|| [sign, significant, &"0".repeat(zeros)].concat())
}

/// The largest float has as many.
const MAX_DIGITS: usize = 309;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_programs_become_numbers_of_json_digit_by_digit() {
        let cases = [
            ("12345678901234567890123", "12345678901234567890123"),
            ("-12345678901234567890.50", "-12345678901234567890.50"),
            ("007", "7"),
            ("-007.5", "-7.5"),
            ("+5", "5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "-0"),
            ("1e-07", "1e-07"),
            ("1E+3", "1E+3"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                as_json(text).map(|(json, _)| json).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        for text in [
            "", ".", "-", "+-5", "1e", "e5", "1e400", "0x1", "1_000", "inf", " 5", "1.2.3", "١",
        ] {
            assert_eq!(as_json(text), None, "{text}");
        }
    }

    #[test]
    fn an_integer_is_found_however_it_is_written() {
        let zeros = "0".repeat(65_600);
        let cases = [
            ("5.0", Some("5")),
            ("1e3", Some("1000")),
            ("-12.50e1", Some("-125")),
            ("0.001e3", Some("1")),
            ("1000e-3", Some("1")),
            ("-0.0", Some("0")),
            ("0e99999999999999999999", Some("0")),
            ("1.5", None),
            ("15e-1", None),
            ("1e-400", None),
            ("1e99999999999999999999", None),
            (&format!("0.{zeros}1e65601"), Some("1")),
            (&format!("1{zeros}e-65600"), Some("1")),
            (&format!("5.{zeros}"), Some("5")),
            (&format!("0.{zeros}1e65600"), None),
            (&format!("1{zeros}"), None),
        ];
        for (text, expected) in cases {
            let beginning = crate::text::cut(text, 30);
            assert_eq!(integer_digits(text).as_deref(), expected, "{beginning}");
        }
    }
}
