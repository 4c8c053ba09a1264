//! A small mesh with executions in every state, and a host that has their logs: for the tests of
//! the pages that show them.

use crate::app::{NOW, TestApp};
use axum::http::Method;
use master::engine::catalog::Interface;
use master::engine::rows::*;
use master::leader::dial::Inside;
use master::store;
use serde_json::{Value, json};
use shared::etl::browse;
use shared::ids::*;
use shared::period::Period;
use shared::rpc::{self, Executor, ExecutorClient};
use shared::wire::{
    Call, Exit, Hello, HostFacts, LogPart, LogQuery, OrderCall, PROTOCOL, Refused, Stream,
    WatchAnswer, WatchCall,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const SECOND: i64 = 1000;

/// Four interfaces by day, as the sample mesh has them.
pub(crate) fn documents() -> Value {
    let job = |name: &str, after: &[&str]| {
        json!({ "name": name, "kind": "shell", "after": after,
            "fields": { "program": "sh", "args": ["-c", format!("echo {name} ${{date}}")] } })
    };
    json!([
        { "source": "a:1", "kind": "host", "name": "exec-one", "spec": { "address": "inside:1" } },
        { "source": "a:2", "kind": "interface", "name": "load", "spec": { "params": { "region": "east" } },
          "jobs": [job("fetch", &[]), job("unpack", &["fetch"]), job("check", &["unpack"]), job("store", &["check"])],
          "dispatches": [{ "name": "nightly", "cron": "30 2 * * *" }] },
        { "source": "a:3", "kind": "interface", "name": "clean", "spec": { "parents": ["load"] },
          "jobs": [job("dedupe", &[]), job("normalize", &["dedupe"]), job("reject", &["dedupe"]), job("publish", &["normalize", "reject"])] },
        { "source": "a:4", "kind": "interface", "name": "aggregate", "spec": { "parents": ["clean"] },
          "jobs": [job("by_carrier", &[]), job("by_airport", &[]), job("by_hour", &[]), job("totals", &["by_carrier", "by_airport", "by_hour"])] },
        { "source": "a:5", "kind": "interface", "name": "report", "spec": { "parents": ["aggregate"] },
          "jobs": [job("render", &[]), job("compare", &["render"]), job("send", &["compare"])] },
    ])
}

/// One run to be made: its interface, its state, and the states of jobs that are not as it.
pub(crate) type Wanted<'a> = (&'a str, RunState, &'a [(&'a str, Phase)]);

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) interfaces: BTreeMap<String, Arc<Interface>>,
    host: HostId,
    batch: i64,
}

/// A job run before anything.
pub(crate) fn waiting() -> JobRun {
    JobRun {
        project: ProjectId(1),
        phase: Phase::Waiting,
        reason: String::new(),
        number: 0,
        reign: 0,
        allowed: 1,
        not_before: 0,
        forced: Forced::Not,
        waits: BTreeSet::new(),
        ready: None,
        started: None,
        ended: None,
    }
}

pub(crate) fn day(text: &str) -> Period {
    text.parse().unwrap()
}

pub(crate) fn place(host: HostId) -> Place {
    Place { host, basis: Answer { incarnation: Incarnation(7), seq: 3 } }
}

impl Scene {
    pub(crate) async fn new(app: &TestApp, admin: &crate::app::Client) -> Scene {
        let body = json!({ "dry_run": false, "documents": documents() });
        app.api(admin, Method::POST, "/api/v1/apply", body).await.is(200);
        let catalog = store::catalog::load(&app.app.db).await.unwrap();
        let interfaces =
            catalog.interfaces.values().map(|it| (it.name.clone(), Arc::clone(it))).collect();
        let host = *catalog.hosts.keys().next().unwrap();
        let insert = master::db::sql(
            "INSERT INTO leader (cluster, epoch, holder, server, batch, since_ms, url) \
             VALUES ('hcndc', 1, 1, 'x', 1, 0, '')",
            vec![],
        );
        app.app.db.commit([insert]).await.unwrap();
        Scene { interfaces, host, batch: 1 }
    }

    pub(crate) fn place(&self) -> Place {
        place(self.host)
    }

    pub(crate) async fn commit(&mut self, app: &TestApp, changes: &[Change]) {
        self.batch += 1;
        let mut writes = store::run::writes(changes, self.batch);
        let raise = "UPDATE leader SET batch = ?";
        writes.push(master::db::sql(raise, master::params![self.batch]));
        app.app.db.commit(writes).await.unwrap();
        app.app.bus.nudge(master::bus::Topic::Run);
    }

    pub(crate) fn run_id(&self, interface: &str, period: Period) -> RunId {
        RunId::of(self.interfaces[interface].id, period, 1)
    }

    pub(crate) fn job_id(&self, interface: &str, job: &str) -> JobId {
        let jobs = &self.interfaces[interface].jobs;
        jobs.iter().find(|other| other.name == job).unwrap().id
    }

    /// An execution that began `ago` seconds before now, with its runs.
    pub(crate) async fn execution(
        &mut self,
        app: &TestApp,
        (period, ago, state): (Period, i64, RunState),
        wanted: &[Wanted<'_>],
    ) -> ExecutionId {
        let created = NOW - ago * SECOND;
        let id = ExecutionId::of_firing(DispatchId(1), created);
        let ended = (!state.is_live()).then_some(created + 140 * SECOND);
        let mut changes: Vec<Change> = Vec::new();
        let mut runs = Vec::new();
        for (at, (name, run_state, special)) in wanted.iter().enumerate() {
            let begun = created + at as i64 * 35 * SECOND;
            let run = self.run(&mut changes, (id, name, period), (*run_state, begun), special);
            runs.push(run);
        }
        let execution = Execution {
            project: ProjectId(1),
            interface: self.interfaces[wanted[0].0].id,
            period,
            origin: Origin::Cron,
            dispatch: Some((DispatchId(1), created)),
            command: None,
            by: None,
            cascade: true,
            params: BTreeMap::new(),
            state,
            runs,
            created,
            ended,
        };
        changes.push((Key::Execution(id), Some(Row::Execution(execution))));
        self.commit(app, &changes).await;
        id
    }

    fn run(
        &self,
        changes: &mut Vec<Change>,
        (execution, name, period): (ExecutionId, &str, Period),
        (state, begun): (RunState, i64),
        special: &[(&str, Phase)],
    ) -> RunId {
        let interface = Arc::clone(&self.interfaces[name]);
        let id = self.run_id(name, period);
        let waits = match (state, interface.spec.parents.first()) {
            (RunState::Waiting, Some(parent)) => {
                BTreeSet::from([Target::Run(RunId::of(parent.interface, period, 1))])
            }
            _ => BTreeSet::new(),
        };
        let moved = !matches!(state, RunState::Waiting | RunState::Ready);
        let run = Run {
            project: ProjectId(1),
            interface: interface.id,
            period,
            period_start: 0,
            generation: 1,
            version: interface.version,
            execution,
            priority: 0,
            params: BTreeMap::new(),
            state,
            paused: false,
            stale: false,
            partial: false,
            waits,
            wait_until: begun + 86_400 * SECOND,
            created: begun,
            started: moved.then_some(begun),
            age_from: None,
            ended: (!state.is_live()).then_some(begun + 33 * SECOND),
        };
        changes.push((Key::Run(id), Some(Row::Run(run))));
        for (at, job) in interface.jobs.iter().enumerate() {
            let usual = match state {
                RunState::Succeeded => Phase::Done(Verdict::Succeeded),
                _ => Phase::Waiting,
            };
            let phase =
                special.iter().find(|(name, _)| *name == job.name).map_or(usual, |one| one.1);
            self.job(
                changes,
                JobRunId { run: id, job: job.id },
                phase,
                begun + at as i64 * 8 * SECOND,
            );
        }
        id
    }

    fn job(&self, changes: &mut Vec<Change>, id: JobRunId, phase: Phase, begun: i64) {
        let tries = match phase {
            Phase::Done(Verdict::Failed) => 2,
            Phase::Done(Verdict::Skipped) | Phase::Waiting | Phase::Queued => 0,
            _ => 1,
        };
        let done = matches!(phase, Phase::Done(_)) && tries > 0;
        let row = JobRun {
            phase,
            reason: match phase {
                Phase::Done(Verdict::Skipped) => "a job before it failed".into(),
                Phase::Done(Verdict::Failed) => "exit code 2 after 2 attempts".into(),
                Phase::Queued => "host exec-one has no free slot".into(),
                _ => String::new(),
            },
            number: tries,
            reign: if tries > 0 { 9 } else { 0 },
            allowed: tries.max(1),
            ready: (tries > 0 || phase == Phase::Queued).then_some(begun),
            started: (tries > 0).then_some(begun + 2 * SECOND),
            ended: done.then_some(begun + 7 * SECOND),
            ..waiting()
        };
        changes.push((Key::JobRun(id), Some(Row::JobRun(row))));
        for number in 1..=tries {
            let code = if phase == Phase::Done(Verdict::Failed) { 2 } else { 0 };
            let attempt = Attempt {
                project: ProjectId(1),
                place: self.place(),
                end: done.then_some(End::Exit(Exit::Code(code))),
                mark: Mark::Plain,
                queued: String::new(),
                assigned: begun,
                started: Some(begun + i64::from(number) * SECOND),
                ended: done.then_some(begun + i64::from(number) * SECOND + 5 * SECOND),
                out_bytes: 400,
                err_bytes: 80,
                rss_max_kib: Some(9_000),
                cpu_ms: Some(1_250),
            };
            let key = AttemptId { run: id.run, job: id.job, number, reign: 9 };
            changes.push((Key::Attempt(key), Some(Row::Attempt(attempt))));
        }
    }

    /// Ok, failed, running, waiting: one of each.
    pub(crate) async fn usual(&mut self, app: &TestApp) -> [ExecutionId; 4] {
        use RunState::*;
        let skipped = Phase::Done(Verdict::Skipped);
        let ok = Phase::Done(Verdict::Succeeded);
        let all = [
            ("load", Succeeded, &[][..]),
            ("clean", Succeeded, &[]),
            ("aggregate", Succeeded, &[]),
            ("report", Succeeded, &[]),
        ];
        let good = self.execution(app, (day("2026-11-18"), 172_800, Succeeded), &all).await;
        let failed = [
            ("dedupe", ok),
            ("normalize", Phase::Done(Verdict::Failed)),
            ("reject", ok),
            ("publish", skipped),
        ];
        let bad = [
            ("load", Succeeded, &[][..]),
            ("clean", Failed, &failed[..]),
            ("aggregate", Waiting, &[]),
            ("report", Waiting, &[]),
        ];
        let bad = self.execution(app, (day("2026-11-19"), 86_400, Failed), &bad).await;
        let now = [
            ("dedupe", ok),
            ("normalize", Phase::Running(self.place())),
            ("reject", Phase::Queued),
        ];
        let live = [
            ("load", Succeeded, &[][..]),
            ("clean", Running, &now[..]),
            ("aggregate", Waiting, &[]),
            ("report", Waiting, &[]),
        ];
        let live = self.execution(app, (day("2026-11-20"), 60, Running), &live).await;
        let waits =
            self.execution(app, (day("2026-11-21"), 10, Waiting), &[("clean", Waiting, &[])]).await;
        [good, bad, live, waits]
    }
}

/// A host that has the same log for every attempt: 60 lines to out, some to err.
pub(crate) struct Hosts;

impl Inside for Hosts {
    fn connect(&self, _: &str) -> anyhow::Result<(String, ExecutorClient)> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        shared::tasks::spawn("host of a test", rpc::serve(theirs, Host));
        Ok(("agent-one".into(), rpc::connect(ours)))
    }
}

#[derive(Clone)]
struct Host;

/// What it has written.
pub(crate) fn output(stream: Stream) -> String {
    match stream {
        Stream::Out => {
            (1..=60).map(|n| format!("\x1b[32mline\x1b[0m {n} 航班 rows={}\n", n * 37)).collect()
        }
        Stream::Err => "warning: 3 rows without a tail number\nawk: cannot open \
                        /data/airports.csv (No such file or directory)\nleaving\n"
            .into(),
    }
}

impl Executor for Host {
    async fn hello(self, _: tarpc::context::Context, hello: Hello) -> Result<Hello, Refused> {
        Ok(Hello { protocol: PROTOCOL, agent: "agent-one".into(), ..hello })
    }

    async fn order(self, _: tarpc::context::Context, _: OrderCall) -> Result<(), Refused> {
        Ok(())
    }

    async fn watch(self, _: tarpc::context::Context, _: WatchCall) -> Result<WatchAnswer, Refused> {
        Err(Refused::Supervisor("a test has none".into()))
    }

    async fn read_log(
        self,
        _: tarpc::context::Context,
        query: LogQuery,
    ) -> Result<Option<LogPart>, Refused> {
        let bytes = output(query.stream).into_bytes();
        let len = bytes.len() as u64;
        let from = query.from.min(len);
        let until = len.min(from + u64::from(query.max));
        let (out, err) = (output(Stream::Out).len() as u64, output(Stream::Err).len() as u64);
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let mark = |at: i64, share: u64| shared::wire::Mark {
            at_ms: NOW + at * SECOND,
            out_len: out * share / 4,
            err_len: err * share / 4,
        };
        Ok(Some(LogPart {
            from,
            bytes: bytes[at(from)..at(until)].to_vec(),
            len,
            ended: true,
            hole: None,
            marks: vec![mark(1, 1), mark(2, 2), mark(3, 3), mark(4, 4)],
        }))
    }

    async fn probe(self, _: tarpc::context::Context, _: Call) -> Result<HostFacts, Refused> {
        Ok(HostFacts::default())
    }

    async fn browse(
        self,
        _: tarpc::context::Context,
        _: browse::Ask,
    ) -> Result<browse::Answer, Refused> {
        Err(Refused::Role)
    }

    async fn next_key(self, _: tarpc::context::Context, _: Call) -> Result<String, Refused> {
        Err(Refused::Role)
    }

    async fn next_certificate(
        self,
        _: tarpc::context::Context,
        _: Call,
        _: String,
    ) -> Result<(), Refused> {
        Err(Refused::Role)
    }
}
