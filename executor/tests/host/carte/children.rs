//! What jobs on the stand-in for Carte have begun. It lists that only for a job that asks for it by
//! `expand_remote_job`, under its own name and an id of chance, until it is removed: also when the job is
//! not there any more.

use super::server::{Entry, result, status};
use shared::ids::Millis;

/// What it tells of a transformation that runs.
const STEPS: &str = "<?xml version=\"1.0\"?><transstatus><transname>hello</transname><status_desc>Running</status_desc>\
    <stepstatuslist><stepstatus><stepname>sort</stepname><copy>0</copy><linesRead>7000</linesRead>\
    <linesWritten>0</linesWritten><linesInput>0</linesInput><linesOutput>0</linesOutput><linesUpdated>0</linesUpdated>\
    <linesRejected>0</linesRejected><errors>0</errors><statusDescription>Running</statusDescription>\
    <seconds>2.0s</seconds><speed> 3,500</speed></stepstatus></stepstatuslist></transstatus>";

#[derive(Clone, Debug)]
struct Child {
    name: &'static str,
    id: String,
    flow: bool,
    /// It lives as that does.
    of: Entry,
}

#[derive(Debug, Default)]
pub(super) struct Children {
    all: Vec<Child>,
    ids: u64,
}

impl Children {
    pub(super) fn begin(&mut self, of: &Entry) {
        if !of.body.contains("<expand_remote_job>Y</expand_remote_job>") {
            return;
        }
        if of.body.contains("<type>JOB</type>") {
            self.add("daily", true, of);
        }
        self.add("hello", false, of);
    }

    pub(super) fn add(&mut self, name: &'static str, flow: bool, of: &Entry) {
        self.ids += 1;
        let id = format!("c-{}", self.ids);
        self.all.push(Child { name, id, flow, of: of.clone() });
    }

    pub(super) fn stop(&mut self, id: &str) {
        self.all.iter_mut().filter(|one| one.of.id == id).for_each(|one| one.of.stopped = true);
    }

    pub(super) fn forget(&mut self) {
        self.all.clear();
    }

    /// Names, with whose they are.
    pub(super) fn known(&self) -> Vec<String> {
        self.all.iter().map(|one| format!("{} of {}", one.name, one.of.name)).collect()
    }

    pub(super) fn listed(&self, flow: bool, now: Millis) -> String {
        let (block, tag) =
            if flow { ("jobstatus", "jobname") } else { ("transstatus", "transname") };
        let one = |child: &Child| {
            format!(
                "<{block}><{tag}>{}</{tag}><id>{}</id><status_desc>{}</status_desc></{block}>",
                child.name,
                child.id,
                status(&child.of, now)
            )
        };
        self.all.iter().filter(|one| one.flow == flow).map(one).collect()
    }

    /// None: it knows no such one, and fails itself.
    pub(super) fn obey(&mut self, verb: &str, name: &str, id: &str) -> Option<String> {
        let flow = verb == "removeJob";
        let fits = |one: &Child| one.flow == flow && one.name == name && one.id == id;
        let at = self.all.iter().position(fits)?;
        if verb == "transStatus" {
            return Some(STEPS.into());
        }
        self.all.remove(at);
        Some(result("OK", "", ""))
    }
}
