//! The long-lived Python process that parses command lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A Python process with argparse; ended with the value.
pub struct Argparse {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Argparse {
    /// Starts `python3`.
    pub fn start() -> Self {
        let mut process = Command::new("python3")
            .args(["-u", "-c", include_str!("argparse_oracle.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python 3 is installed");
        Self {
            questions: process.stdin.take().expect("it is piped"),
            answers: BufReader::new(process.stdout.take().expect("it is piped")),
            process,
        }
    }

    /// What each of the lines means to a parser with these parameters.
    pub fn ask(&mut self, parameters: &[Value], lines: &[Vec<String>]) -> Vec<Value> {
        let question = json!({"parameters": parameters, "lines": lines});
        writeln!(self.questions, "{question}").expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        serde_json::from_str(&answer)
            .unwrap_or_else(|fault| panic!("{fault}: {answer} to {question}"))
    }
}

impl Drop for Argparse {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
