//! A monitor of the log as a process.
#![allow(clippy::unwrap_used)]

use super::Testbed;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A monitor that runs beside the service.
pub struct Follower {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Drop for Follower {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Follower {
    pub fn start(bed: &Testbed, arguments: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dawn"))
            .args(arguments.split(' '))
            .current_dir(bed.scratch.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// Reads looks until one tells of an entry of this kind.
    pub fn until(&mut self, kind: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
            let look: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(look["findings"], Value::Array(vec![]), "{look}");
            let new = look["new"].as_array().unwrap();
            if new.iter().any(|told| told["kind"] == kind) {
                return look;
            }
        }
    }

    /// Interrupts it, as Ctrl-C does, and gives its exit code.
    pub fn interrupt(mut self) -> i32 {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(told.success());
        self.process.wait().unwrap().code().unwrap()
    }
}
