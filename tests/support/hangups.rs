//! Whether these tests run where SIGHUP is ignored, as below `nohup`: every process that they start inherits that.

/// Whether this process ignores SIGHUP.
pub fn are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("tests run on Linux");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.expect("Linux says").trim(), 16).expect("hexadecimal");
    mask & 1 == 1
}
