//! A second process for a test: this very test program, asked to play one part until it is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const PART: &str = "HCNDC_CONTRACT_PART";
const WITH: &str = "HCNDC_CONTRACT_WITH";

/// Killed when it goes out of scope.
pub(crate) struct Player(Child);

impl Player {
    #[expect(clippy::disallowed_methods, reason = "a test of what happens between two processes")]
    fn start(part: &str, with: &str) -> Player {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", "child::plays_its_part", "--nocapture"])
            .env(PART, part)
            .env(WITH, with)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Player(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lines that begin so, until there are so many; then it is still running.
    fn listen(&mut self, prefix: &str, count: usize) -> Vec<String> {
        let out = self.0.stdout.take().unwrap();
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.filter(|line| line.starts_with(prefix)).take(count).collect()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills it with `kill -9` once it has said so many lines; answers all it said before it died.
pub(crate) fn run_until(part: &str, with: &str, prefix: &str, count: usize) -> Vec<String> {
    let mut player = Player::start(part, with);
    let out = player.0.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    while said.len() < count {
        let line = lines.next().expect("it says enough before it ends");
        if line.starts_with(prefix) {
            said.push(line);
        }
    }
    player.0.kill().unwrap();
    said.extend(lines.filter(|line| line.starts_with(prefix)));
    said
}

/// Runs a part until the answer is dropped; it has said one line that begins so.
pub(crate) fn start(part: &str, with: &str, prefix: &str) -> Player {
    let mut player = Player::start(part, with);
    assert_eq!(player.listen(prefix, 1).len(), 1);
    player
}

/// Does nothing in a run of the tests: only as a second process it has a part.
#[tokio::test]
async fn plays_its_part() {
    let (Some(part), Some(with)) = (shared::config::env(PART), shared::config::env(WITH)) else {
        return;
    };
    println!(); // behind the words of the test runner
    match part.as_str() {
        "write_for_ever" => crate::db_sqlite::write_for_ever(&with).await,
        "hold_the_directory" => crate::lease::hold_the_directory(&with),
        other => panic!("no part {other}"),
    }
}
