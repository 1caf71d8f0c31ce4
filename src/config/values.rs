//! Switches and times, as texts say them.

use std::time::Duration;

/// The longest time that a setting may give: a year. Clocks and timers have a limit of their own beyond it.
const MAX_SECONDS: f64 = 365.0 * 24.0 * 60.0 * 60.0;

/// What a switch says, where it is understood.
pub fn switch_value(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// `Some(None)` is no limit, `None` is not allowed.
pub fn time_limit(text: &str) -> Option<Option<Duration>> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let text = text.to_ascii_lowercase();
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((&text, 1.0));
    let seconds = number.parse::<f64>().ok()? * unit;
    // Version 3 read its times as Python does, where an infinite one is a number.
    if seconds <= 0.0 || seconds == f64::INFINITY {
        return Some(None);
    }
    // Not a number is not within it either.
    (seconds <= MAX_SECONDS).then(|| Some(Duration::from_secs_f64(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit_and_are_bounded() {
        let ms = |ms| Some(Some(Duration::from_millis(ms)));
        for (text, expected) in [
            ("0", Some(None)),
            ("-1", Some(None)),
            ("1.5", ms(1500)),
            ("5s", ms(5000)),
            ("2m", ms(120_000)),
            ("1 h", ms(3_600_000)),
            ("250ms", ms(250)),
            ("31536000", ms(31_536_000_000)),
            ("31536001", None),
            ("1e19", None),
            ("inf", Some(None)),
            ("-inf", Some(None)),
            ("nan", None),
            ("5d", None),
            ("", None),
            ("s", None),
        ] {
            assert_eq!(time_limit(text), expected, "{text:?}");
        }
    }
}
