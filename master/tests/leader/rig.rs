//! A master without pages: an embedded database, definitions put straight into it, and leaders.

use master::bus::{Bus, Topic};
use master::db::{Db, migrate, params};
use master::engine::rows::{Command, CommandResult, Verb};
use master::leader::answer::Desk;
use master::leader::dial::Caller;
use master::leader::drive::Ports;
use master::leader::ops::Pace;
use master::leader::run;
use master::leader::status::LeaderStatus;
use master::lease::Lease;
use master::lease::local::{DirLock, Local};
use master::logs::{Logs, on_host::OnHost};
use master::store::edit::Edit;
use master::store::{command, host, interface, job};
use shared::address::Target;
use shared::clock::Clock;
use shared::ids::*;
use shared::spec::{HostSpec, InterfaceSpec, JobSpec};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) const CLUSTER: &str = "test";
const PROJECT: ProjectId = ProjectId(1);

pub(crate) struct Rig {
    pub(crate) db: Db,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) lease: Lease,
    _dir: tempfile::TempDir,
}

/// A leader at work; dropped, it is cut off as by a crash.
pub(crate) struct Leading {
    pub(crate) status: watch::Receiver<LeaderStatus>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Leading {
    pub(crate) async fn until(&mut self, wanted: impl FnMut(&LeaderStatus) -> bool) {
        let wait = self.status.wait_for(wanted);
        let seen = tokio::time::timeout(Duration::from_secs(10), wait).await;
        let seen = seen.map(|seen| seen.unwrap().clone());
        seen.unwrap_or_else(|_| panic!("it stays at {:?}", self.status.borrow()));
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    pub(crate) async fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let url = format!("sqlite:{}", dir.path().join("hcndc.db").display());
        let db = Db::open(Target::plain("database", &url), clock.clone()).await.unwrap();
        migrate::run(&db).await.unwrap();
        let lock = Arc::new(DirLock::take(dir.path()).unwrap());
        let lease = Lease::Local(Local::new(lock, clock.clone()));
        Rig { db, bus: Bus::memory(), clock, lease, _dir: dir }
    }

    pub(crate) fn lead(&self, caller: Caller) -> Leading {
        let (status, seen) = watch::channel(LeaderStatus::default());
        let desk = Desk {
            db: self.db.clone(),
            bus: self.bus.clone(),
            cluster: CLUSTER.into(),
            url: "http://test".into(),
            definitions: Arc::default(),
        };
        let ports = Ports {
            desk,
            lease: self.lease.clone(),
            clock: self.clock.clone(),
            logs: Logs::OnHost(OnHost::new(self.db.clone(), caller.clone(), self.clock.clone())),
            caller,
            pace: Pace::default(),
            status,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let task = shared::tasks::spawn("a leader", async move {
            run::run(ports, async { _ = stopped.await }).await.unwrap();
        });
        Leading { status: seen, stop: Some(stop), task }
    }

    fn edit(&self) -> Edit {
        Edit::of_system(self.clock.wall_ms())
    }

    pub(crate) async fn host(&self, id: i64, address: &str, slots: u32) {
        let spec = serde_json::json!({ "address": address, "slots": slots });
        let spec: HostSpec = serde_json::from_value(spec).unwrap();
        let name = format!("host{id}");
        let (id, project, agent) = (HostId(id), ProjectId(0), "");
        let put = host::Put { id, project, name: &name, agent, spec: &spec };
        self.db.commit(host::insert(&put, &self.edit()).unwrap()).await.unwrap();
        self.bus.nudge(Topic::Definition);
    }

    /// Jobs by id, name and spec; the interface is by day.
    pub(crate) async fn interface(&self, id: i64, name: &str, jobs: &[(i64, &str, JobSpec)]) {
        let edit = self.edit();
        let spec: InterfaceSpec = serde_json::from_value(serde_json::json!({})).unwrap();
        let interface = InterfaceId(id);
        let put = interface::Put { id: interface, project: PROJECT, name, spec: &spec };
        let mut batch = interface::insert(&put, &edit).unwrap();
        for (id, name, spec) in jobs {
            let id = JobId(*id);
            let put = job::Put { id, project: PROJECT, interface, name, spec, version: 1 };
            batch.extend(job::insert(&put, &edit).unwrap());
        }
        self.db.commit(batch).await.unwrap();
        self.bus.nudge(Topic::Definition);
    }

    /// Puts a verb, as a page does, and waits for what became of it.
    pub(crate) async fn tell(&self, verb: Verb) -> CommandResult {
        let command = Command { project: PROJECT, by: UserId(1), verb, dry_run: false };
        let id = command::insert(&self.db, &command, self.clock.wall_ms()).await.unwrap();
        self.bus.nudge(Topic::Command);
        let result = command::wait(&self.db, id, Duration::from_secs(20)).await.unwrap();
        result.expect("the leader answers")
    }

    pub(crate) async fn run_now(&self, interface: i64, period: &str) -> ExecutionId {
        let result = self
            .tell(Verb::RunNow {
                interface: InterfaceId(interface),
                period: period.parse().unwrap(),
                cascade: false,
                params: Default::default(),
                missing_only: false,
                api: false,
            })
            .await;
        assert!(result.done, "{result:?}");
        result.plan.execution.unwrap()
    }

    pub(crate) async fn state_of(&self, execution: ExecutionId) -> String {
        let text = "SELECT state FROM execution WHERE id = ?";
        let row = self.db.first(text, params![execution]).await.unwrap();
        row.map_or_else(String::new, |row| row.text("state").unwrap().to_owned())
    }

    /// Until it has ended; its state then.
    pub(crate) async fn outcome(&self, execution: ExecutionId, at_most: Duration) -> String {
        let ended = async {
            loop {
                let state = self.state_of(execution).await;
                if ["succeeded", "failed", "stopped"].contains(&state.as_str()) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(at_most, ended).await {
            Ok(state) => state,
            Err(_) => panic!("{}", self.story().await),
        }
    }

    /// Every job run, for a test that fails.
    pub(crate) async fn story(&self) -> String {
        let text =
            "SELECT job_id, state, reason, number FROM job_run ORDER BY run_id, job_id LIMIT 50";
        let rows = self.db.query(text, params![]).await.unwrap();
        let line = |row: &master::db::Row| {
            let (job, state) = (row.int("job_id").unwrap(), row.text("state").unwrap());
            let (reason, number) = (row.text("reason").unwrap(), row.int("number").unwrap());
            format!("job {job} {state} ({reason}), attempt {number}\n")
        };
        rows.iter().map(line).collect()
    }
}

/// A shell job: a program and its arguments, after these jobs.
pub(crate) fn shell(argv: &[&str], after: &[i64]) -> JobSpec {
    let (program, args) = argv.split_first().unwrap();
    let after: Vec<_> = after.iter().map(|job| serde_json::json!({ "job": job })).collect();
    serde_json::from_value(serde_json::json!({
        "kind": "shell",
        "fields": { "program": program, "args": args },
        "after": after,
    }))
    .unwrap()
}
