//! Cold starts of a real Hop with a class-data archive that the host has made by itself.

use crate::site::Site;
use crate::{OPTIONS, environment, install, prepare};
use executor::process::table;
use serde_json::{Value, json};
use shared::ids::*;
use shared::wire::*;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Of these a host makes no archive.
pub(crate) const PLAIN: &str = "plain";

pub(crate) struct Cold {
    pub(crate) site: Site,
    home: tempfile::TempDir,
    number: u32,
}

impl Cold {
    /// A `run` with an install in which a test may change something.
    pub(crate) fn new() -> Cold {
        let home = tempfile::tempdir().unwrap();
        let config = prepare(home.path());
        let hop = linked(&home.path().join("hop"));
        let plain = format!("{OPTIONS} -Xshare:auto");
        let all = [("hop", OPTIONS), (PLAIN, &plain)];
        let all = all.map(|(name, options)| environment(name, &hop, &config, options));
        let site = Site::of(|rig| {
            rig.config = format!("{}[cold]\nload_max = 1000.0\n{}", rig.config, all.concat());
        });
        Cold { site, home, number: 0 }
    }

    fn begin(&mut self, environment: &str, file: &str, params: Value) -> AttemptId {
        self.number += 1;
        let fields = json!({"file": file, "project": "demo", "run_configuration": "local", "params": params});
        let mut start = self.site.rig.plan_kind(("hop", environment), fields, Vec::new(), &[]);
        start.attempt.number = self.number;
        let attempt = start.attempt;
        self.site.order(vec![Order::Start(Box::new(start))]);
        attempt
    }

    /// How long an attempt of one row took, and what it has said.
    pub(crate) fn run(&mut self, environment: &str) -> (Millis, String) {
        let attempt = self.begin(environment, "rows.hpl", json!({"ROWS": "1"}));
        let state = self.site.rig.end(attempt);
        let (out, err) = (self.site.rig.out(attempt), self.site.rig.out_of(attempt, Stream::Err));
        assert_eq!(state, State::Ended(Exit::Code(0)), "{out}\n{err}\n{}", self.site.log());
        let report = &self.site.rig.known[&attempt];
        (report.ended_ms.unwrap() - report.started_ms.unwrap(), out + &err)
    }

    fn archives(&self) -> Vec<PathBuf> {
        let uid = nix::unistd::geteuid();
        let dir = self.site.rig.layout.root.join(format!("cold/{uid}"));
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let archive = |path: &PathBuf| path.extension().is_some_and(|end| end == "jsa");
        entries.map(|entry| entry.path()).filter(archive).collect()
    }

    /// The next one that is whole.
    pub(crate) fn archive(&self, before: Option<&Path>) -> PathBuf {
        let fresh = |cold: &Cold| cold.archives().into_iter().find(|path| Some(&**path) != before);
        self.site.rig.until("an archive", |_| fresh(self).is_some());
        fresh(self).unwrap()
    }

    /// What the JVM of an attempt maps.
    fn maps(&mut self) -> String {
        let attempt = self.begin("hop", "forever.hpl", json!({}));
        self.site.rig.until_it_says(attempt, "Execution started for pipeline");
        let root = self.site.holder("supervisor").unwrap();
        let jvm = table::descendants(&table::all(), |process| process.pid == root)
            .into_iter()
            .find(|process| {
                let line = std::fs::read(format!("/proc/{}/cmdline", process.pid));
                let line = line.unwrap_or_default();
                line.windows(6).any(|part| part == b"HopRun") && line.starts_with(b"java")
                    || String::from_utf8_lossy(&line).contains("/java\0")
            });
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", jvm.expect("a JVM").pid));
        self.site.rig.stop(attempt, 5_000);
        self.site.rig.end(attempt);
        maps.unwrap()
    }
}

/// The install that is to be tried, of links.
fn linked(to: &Path) -> PathBuf {
    let from = install();
    std::fs::create_dir_all(to.join("lib/core")).unwrap();
    let link = |name: &str| symlink(from.join(name), to.join(name)).unwrap();
    link("plugins");
    std::fs::copy(from.join("hop-run.sh"), to.join("hop-run.sh")).unwrap();
    for entry in std::fs::read_dir(from.join("lib")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name != "core" {
            link(&format!("lib/{name}"));
        }
    }
    for entry in std::fs::read_dir(from.join("lib/core")).unwrap().flatten() {
        link(&format!("lib/core/{}", entry.file_name().into_string().unwrap()));
    }
    to.to_owned()
}

#[test]
fn a_cold_start_maps_the_archive_that_its_host_has_made() {
    let mut cold = Cold::new();
    let (_, without) = cold.run("hop");
    let first = cold.archive(None);
    assert!(cold.maps().contains(&first.display().to_string()));
    // Of Hop and of us: a JVM says nothing of archives.
    let odd = |text: &str| -> Vec<String> {
        let usual = |line: &str| {
            line.starts_with(|c: char| c.is_ascii_digit())
                || ["HopRun ", "hcndc: "].iter().any(|begin| line.starts_with(begin))
        };
        text.lines().filter(|line| !line.is_empty() && !usual(line)).map(str::to_owned).collect()
    };
    let none = Vec::<String>::new();
    assert_eq!(odd(&without), none);
    let (_, with) = cold.run("hop");
    assert_eq!(odd(&with), none);
    // Damaged or cut off it is as if there were none.
    let whole = std::fs::read(&first).unwrap();
    let mut damaged = whole.clone();
    damaged[9_000_000..9_001_000].fill(0x5a);
    for bytes in [&damaged[..], &whole[..1_000_000]] {
        std::fs::write(&first, bytes).unwrap();
        let (_, said) = cold.run("hop");
        assert_eq!(odd(&said), none);
    }
    std::fs::write(&first, &whole).unwrap();
    // Another jar: it is stale, and another one is made.
    let jars = cold.home.path().join("hop/lib/core");
    let core = std::fs::read_dir(&jars).unwrap().flatten().map(|entry| entry.path());
    let core = core.into_iter().find(|path| path.to_string_lossy().contains("hop-core-")).unwrap();
    let bytes = std::fs::read(&core).unwrap();
    std::fs::remove_file(&core).unwrap();
    std::fs::write(&core, bytes).unwrap();
    let (_, said) = cold.run("hop");
    assert_eq!(odd(&said), none);
    let second = cold.archive(Some(&first));
    cold.site.rig.until("the end of the old one", |_| !first.exists());
    let maps = cold.maps();
    assert!(maps.contains(&second.display().to_string()));
}
