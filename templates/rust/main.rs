//! Greets people.

use std::process::ExitCode;

/// The answer to --describe, by which the server learns the tools. Each command is one, each parameter an argument of it.
const DESCRIPTION: &str = include_str!("../describe.json");

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let answer = match words.split_first() {
        Some((question, _)) if question == "--describe" => Ok(DESCRIPTION.to_owned()),
        Some((command, words)) if command == "hello" => hello(words),
        _ => Err(format!("unknown command {:?}; there is: hello", words.first())),
    };
    match answer {
        Ok(answer) => {
            println!("{}", answer.trim_end());
            ExitCode::SUCCESS
        }
        // What is written to standard error, with a status other than 0, is the reason that an agent reads.
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn hello(words: &[String]) -> Result<String, String> {
    let name = value(words, "name").ok_or("hello needs --name")?;
    let times = value(words, "times").map_or(Ok(1), str::parse);
    let times: usize = times.map_err(|_| "times is no whole number")?;
    Ok(vec![format!("Hello, {name}!"); times].join("\n"))
}

/// The value of an argument, which comes as two words, or as one with '=' where the value begins with '-'.
fn value<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let flag = format!("--{name}");
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == flag {
            return words.next().map(String::as_str);
        }
        match word.split_once('=') {
            Some((known, value)) if known == flag => return Some(value),
            Some(_) => {}
            // The word after another argument is its value.
            None => drop(words.next()),
        }
    }
    None
}
