//! The page of benchmarks: written by the program that measures, never by a person.

use std::process::Command;

#[test]
fn the_page_of_benchmarks_is_what_its_figures_give() {
    let checked = Command::new("python3")
        .args(["benches/run", "--check"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("python3 is there");
    let printed = String::from_utf8_lossy(&checked.stdout);
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{printed}{errors}");
}
