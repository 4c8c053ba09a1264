//! The notation of the tests.
//!
//! One interface a line: `NAME [GRANULARITY] [<PARENT[:MAP]]… : DAG`. A DAG is made of statements
//! with `;` between: `a>b>c` (success), `a>!b` (failure of a), `a>*b` (done), `a,b>c`; `any c`;
//! `a needs I.j[:MAP]`; `stop` (on failure); `alarm 60` and `stop 60` (after seconds); `self idle | succeeded`; and what becomes of a job:
//! `b fails`, `b fails 2` (its first two attempts), `b times out`, `b hangs`, `b tries 3`, `b prio 5`,
//! `b slots 2`, `b pool 1`, `b on 2` (a host), `b retry` (on_lost), `b unknown hold|fail|retry`.

use crate::engine::catalog::*;
use shared::ids::*;
use shared::period::{Granularity, Period};
use shared::spec::*;
use std::collections::BTreeMap;

/// What becomes of the attempts of a job.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Ok,
    /// So many attempts fail.
    Fails(u32),
    TimesOut,
    Hangs,
}

pub(super) fn granularity(text: &str) -> Option<Granularity> {
    Some(match text {
        "minute" => Granularity::Minute,
        "hour" => Granularity::Hour,
        "day" => Granularity::Day,
        "week" => Granularity::Week,
        "month" => Granularity::Month,
        _ => return None,
    })
}

fn map(text: Option<&str>) -> PeriodMap {
    match text {
        None | Some("same") => PeriodMap::Same,
        Some("all") => PeriodMap::AllWithin,
        Some("last") => PeriodMap::LastWithin,
        Some(text) => match text.strip_prefix("prev") {
            Some(count) => PeriodMap::Previous(count.parse().unwrap()),
            None => PeriodMap::Offset(text.parse().unwrap()),
        },
    }
}

/// `A` is interface 1, `B` is 2 …
pub(super) fn interface(name: &str) -> InterfaceId {
    InterfaceId(i64::from(name.as_bytes()[0] - b'A') + 1)
}

/// `a` of interface 2 is job 201 …
pub(super) fn job(interface: InterfaceId, name: &str) -> JobId {
    JobId(interface.0 * 100 + i64::from(name.as_bytes()[0] - b'a') + 1)
}

pub(super) fn period(text: &str) -> Period {
    text.parse().unwrap()
}

fn job_spec() -> JobSpec {
    serde_json::from_value(serde_json::json!({"kind": "shell"})).unwrap()
}

pub(super) struct Parsed {
    pub(super) interface: Interface,
    pub(super) fates: BTreeMap<JobId, Fate>,
}

impl Parsed {
    fn job(&mut self, name: &str) -> &mut Job {
        let id = job(self.interface.id, name);
        let at = self.interface.jobs.iter().position(|job| job.id == id).unwrap_or_else(|| {
            self.interface.jobs.push(Job { id, name: name.into(), spec: job_spec() });
            self.interface.jobs.len() - 1
        });
        &mut self.interface.jobs[at]
    }

    fn statement(&mut self, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [] => {}
            ["stop"] => self.interface.spec.on_failure = OnFailure::Stop,
            ["frozen"] => self.interface.spec.frozen = true,
            ["self", "idle"] => self.interface.spec.self_dependence = SelfDependence::Idle,
            ["self", _] => self.interface.spec.self_dependence = SelfDependence::Succeeded,
            ["alarm", s] => self.interface.spec.alarm_after_s = Some(s.parse().unwrap()),
            ["stop", s] => self.interface.spec.stop_after_s = Some(s.parse().unwrap()),
            ["wait", s] => self.interface.spec.wait_timeout_s = s.parse().unwrap(),
            ["prio", n] => self.interface.spec.priority = n.parse().unwrap(),
            ["any", name] => self.job(name).spec.join = Join::Any,
            [name, "needs", what] => {
                let (what, by) = what.split_once(':').map_or((what, None), |(a, b)| (a, Some(b)));
                let (of, need) = what.split_once('.').unwrap();
                let of = interface(of);
                let need = Need { interface: of, job: job(of, need), map: map(by) };
                self.job(name).spec.needs.push(need);
            }
            [name, "fails"] => self.fate(name, Fate::Fails(u32::MAX)),
            [name, "fails", times] => self.fate(name, Fate::Fails(times.parse().unwrap())),
            [name, "times", "out"] => self.fate(name, Fate::TimesOut),
            [name, "hangs"] => self.fate(name, Fate::Hangs),
            [name, "tries", n] => self.job(name).spec.policy.attempts_max = n.parse().unwrap(),
            [name, "prio", n] => self.job(name).spec.priority = n.parse().unwrap(),
            [name, "slots", n] => self.job(name).spec.place.slots = n.parse().unwrap(),
            [name, "pool", n] => self.job(name).spec.place.pools.push(PoolId(n.parse().unwrap())),
            [name, "on", n] => self.job(name).spec.place.hosts.push(HostId(n.parse().unwrap())),
            [name, "is", kind @ ("kettle" | "carte")] => {
                let spec = &mut self.job(name).spec;
                spec.kind = (*kind).into();
                let fields = serde_json::json!({"runs": "job", "file": "/x.kjb"});
                spec.fields = serde_json::from_value(fields).unwrap();
            }
            [name, "in", name_of] => self.job(name).spec.environment = name_of.into(),
            [name, "label", l] => self.job(name).spec.place.labels.push(l.into()),
            [name, "frozen"] => self.job(name).spec.frozen = true,
            [name, "retry"] => self.job(name).spec.policy.on_lost = OnLost::Retry,
            [name, "unknown", how] => {
                self.job(name).spec.policy.on_unknown = match how {
                    "fail" => OnUnknown::Fail,
                    "retry" => OnUnknown::Retry,
                    _ => OnUnknown::Hold,
                }
            }
            _ => self.chain(&text.replace(' ', "")),
        }
    }

    fn fate(&mut self, name: &str, fate: Fate) {
        let id = self.job(name).id;
        self.fates.insert(id, fate);
    }

    fn chain(&mut self, text: &str) {
        let mut before: Vec<JobId> = Vec::new();
        for part in text.split('>') {
            let (expect, part) = match part.split_at_checked(1) {
                Some(("!", rest)) => (Expect::Failure, rest),
                Some(("*", rest)) => (Expect::Done, rest),
                _ => (Expect::Success, part),
            };
            let mut these = Vec::new();
            for name in part.split(',') {
                let job = self.job(name);
                job.spec.after.extend(before.iter().map(|&job| Edge { job, expect }));
                these.push(job.id);
            }
            before = these;
        }
    }
}

pub(super) fn parse(line: &str) -> Parsed {
    let (head, dag) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
    let mut words = head.split_whitespace();
    let name = words.next().unwrap();
    let mut spec = InterfaceSpec { zone: "UTC".into(), ..InterfaceSpec::default() };
    for word in words {
        match word.strip_prefix('<') {
            Some(parent) => {
                let (of, by) = parent.split_once(':').map_or((parent, None), |(a, b)| (a, Some(b)));
                spec.parents.push(Parent { interface: interface(of), map: map(by) });
            }
            None => spec.granularity = granularity(word).unwrap(),
        }
    }
    let project = ProjectId(1);
    let id = interface(name);
    let found = Interface { id, project, name: name.into(), version: 1, spec, jobs: Vec::new() };
    let mut parsed = Parsed { interface: found, fates: BTreeMap::new() };
    dag.split(';').for_each(|statement| parsed.statement(statement.trim()));
    parsed.interface.jobs.sort_by_key(|job| job.id);
    parsed
}
