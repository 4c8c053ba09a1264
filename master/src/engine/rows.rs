//! What is stored of the run state, one type per table. A `World` is these rows and indexes made
//! from them; `store/` writes them as they are here. Only the leader writes them.

pub use super::backfill::BackfillSpec;
pub use super::command::{Command, CommandResult, Part, Plan, Verb};
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::period::Period;
use shared::spec::PeriodMap;
use shared::wire::{Exit, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Dispatch(DispatchId),
    Firing(DispatchId, Millis),
    Execution(ExecutionId),
    Run(RunId),
    JobRun(JobRunId),
    Attempt(AttemptId),
    Doubt(HostId),
    Command(CommandId),
    /// It has the id of the command that asked for it.
    Backfill(CommandId),
    /// An alert: derived from what it tells of, so that telling again writes the same row.
    Outbox(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    Dispatch(DispatchState),
    Firing(Firing),
    Execution(Execution),
    Run(Run),
    JobRun(JobRun),
    Attempt(Attempt),
    Doubt,
    Command(CommandResult),
    Backfill(Arc<Backfill>),
    Outbox(Alert),
}

/// `None` deletes.
pub type Change = (Key, Option<Row>);

/// Table `dispatch_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DispatchState {
    pub project: ProjectId,
    /// Instants up to here are decided; it goes forward only (rule L6).
    pub cursor: Millis,
    pub paused: bool,
}

/// Table `firing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    pub project: ProjectId,
    pub version: i64,
    pub period: Period,
    pub decision: Decision,
    pub why: String,
    pub execution: Option<ExecutionId>,
    pub decided: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Fired,
    Paused,
    /// The interface is frozen.
    Frozen,
    /// Not a day of its calendar, or no day that its interface has a period of.
    Holiday,
    /// In one of its blackout windows.
    Blackout,
    /// Too late, and the policy says not to.
    Misfired,
    /// What it has fired before still runs, and the policy says not to.
    Overlap,
    /// Its rows could not be stored (rule L4).
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Cron,
    Hand,
    Api,
    File,
    Backfill,
}

/// Table `execution`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub project: ProjectId,
    pub interface: InterfaceId,
    pub period: Period,
    pub origin: Origin,
    pub dispatch: Option<(DispatchId, Millis)>,
    pub command: Option<CommandId>,
    pub by: Option<UserId>,
    pub cascade: bool,
    pub params: BTreeMap<String, String>,
    /// Folded from its runs: running while one lives, then failed, stopped or succeeded.
    pub state: RunState,
    /// Owned or joined, parents first.
    pub runs: Vec<RunId>,
    pub created: Millis,
    pub ended: Option<Millis>,
}

/// Table `backfill` (补数).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    pub project: ProjectId,
    pub interface: InterfaceId,
    pub by: UserId,
    pub spec: BackfillSpec,
    /// Versions by which its runs are made, parents first; empty: those of the moment.
    pub pins: Vec<(InterfaceId, i64)>,
    /// Periods, as they were counted when it was planned.
    pub planned: u32,
    /// Executions made.
    pub made: u32,
    /// Those that have ended without success since it was last told to go on.
    pub failed: u32,
    /// The last period that an execution was made for; it goes on in the order of the plan only.
    pub cursor: Option<Period>,
    pub state: BackfillState,
    /// Why it is paused, or makes nothing just now.
    pub why: String,
    pub created: Millis,
    pub ended: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    Running,
    Paused,
    Cancelled,
    /// All its executions are made and have ended.
    Ended,
}

impl BackfillState {
    pub fn is_live(self) -> bool {
        matches!(self, BackfillState::Running | BackfillState::Paused)
    }
}

/// `Waiting`, `Ready`, `Running` are live; the rest has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// For something outside.
    Waiting,
    /// 就绪: nothing has begun yet, and nothing outside is missing.
    Ready,
    Running,
    Succeeded,
    Failed,
    Stopped,
}

impl RunState {
    pub fn is_live(self) -> bool {
        matches!(self, RunState::Waiting | RunState::Ready | RunState::Running)
    }
}

/// Table `run`. Pages show `paused` runs as paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub project: ProjectId,
    pub interface: InterfaceId,
    pub period: Period,
    /// When the period begins, in the interface's zone.
    pub period_start: Millis,
    pub generation: u32,
    /// Of the interface.
    pub version: i64,
    /// The one that made it; others may have joined.
    pub execution: ExecutionId,
    pub priority: i32,
    pub params: BTreeMap<String, String>,
    pub state: RunState,
    pub paused: bool,
    /// What it was fed by has a newer generation since.
    pub stale: bool,
    /// Made of some of its jobs only, and of those left out not all have succeeded before: that it
    /// succeeds is no success of its period.
    pub partial: bool,
    /// What is not there yet.
    pub waits: BTreeSet<Target>,
    /// When waiting is given up; MAX while no clock can be trusted.
    pub wait_until: Millis,
    pub created: Millis,
    pub started: Option<Millis>,
    /// From when its age counts: its start, or when a person last let it go on.
    pub age_from: Option<Millis>,
    pub ended: Option<Millis>,
}

impl Run {
    /// Its period has all that its jobs are to give it.
    pub fn is_success(&self) -> bool {
        self.state == RunState::Succeeded && !self.partial
    }
}

/// What a wait waits for, outside its own run. Stored as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Exactly this run succeeded.
    Run(RunId),
    /// Any generation of that interface's period succeeded.
    Success(InterfaceId, Period),
    /// No generation of it is live.
    Idle(InterfaceId, Period),
    /// The job succeeded in any generation.
    Job(InterfaceId, Period, JobId),
    /// It has succeeded, or there is none at all (自依赖).
    SuccessOrNone(InterfaceId, Period),
}

/// How a definition's map was resolved; kept for explanations.
pub type Mapped = (PeriodMap, Vec<Period>);

/// Table `job_run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    pub project: ProjectId,
    pub phase: Phase,
    /// Why it is queued, skipped, failed: for people.
    pub reason: String,
    /// Number and reign of the newest attempt; 0 before the first.
    pub number: u32,
    pub reign: i64,
    /// Attempts allowed so far: a refusal and a rerun by hand raise it.
    pub allowed: u32,
    /// Not to be started before.
    pub not_before: Millis,
    pub forced: Forced,
    pub waits: BTreeSet<Target>,
    /// When all it needed was there.
    pub ready: Option<Millis>,
    pub started: Option<Millis>,
    pub ended: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// For jobs before it, for waits, for its time.
    Waiting,
    /// Ready, and no place is free for it: `reason` says what is missing.
    Queued,
    /// Promised to a host that may not know it yet.
    Assigned(Place),
    Running(Place),
    /// Told to stop by a person.
    Stopping(Place),
    /// Its process is gone, how it ended is not known, and the policy is to hold.
    Unknown,
    Done(Verdict),
}

impl Phase {
    /// Who has it now.
    pub fn place(self) -> Option<Place> {
        match self {
            Phase::Assigned(place) | Phase::Running(place) | Phase::Stopping(place) => Some(place),
            Phase::Waiting | Phase::Queued | Phase::Unknown | Phase::Done(_) => None,
        }
    }

    /// The word for it in API, database and pages.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Queued => "queued",
            Phase::Assigned(_) => "assigned",
            Phase::Running(_) => "running",
            Phase::Stopping(_) => "stopping",
            Phase::Unknown => "unknown",
            Phase::Done(Verdict::Succeeded) => "succeeded",
            Phase::Done(Verdict::Failed) => "failed",
            Phase::Done(Verdict::Skipped) => "skipped",
            Phase::Done(Verdict::Stopped) => "stopped",
            Phase::Done(Verdict::TimedOut) => "timed_out",
            Phase::Done(Verdict::LeftOut) => "left_out",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Succeeded,
    Failed,
    TimedOut,
    Skipped,
    Stopped,
    /// By a person: what comes after it goes on as if it had succeeded.
    LeftOut,
}

/// What a person has taken out of the way of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forced {
    #[default]
    Not,
    /// It begins whatever the jobs before it have come to.
    Edges,
    /// And whatever its run waits for.
    All,
}

/// One incarnation of one host, as it was known when the attempt was assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub host: HostId,
    pub basis: Answer,
}

/// Table `attempt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub project: ProjectId,
    pub place: Place,
    pub end: Option<End>,
    pub mark: Mark,
    /// Why it had no place until it was assigned; empty: it had one at once.
    pub queued: String,
    pub assigned: Millis,
    /// The host's wall clock: for people.
    pub started: Option<Millis>,
    pub ended: Option<Millis>,
    pub out_bytes: u64,
    pub err_bytes: u64,
    pub rss_max_kib: Option<u64>,
    pub cpu_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Exit(Exit),
    Refused(Refusal),
    Unknown,
    Lost,
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Plain,
    /// A host has listed it and no row knew it: a failover lost its commit. Its job may adopt it.
    Orphan,
    /// Its host is told to kill it, known or not, until it says that it is no more: a start still
    /// on its way must not revive it.
    Abandoned,
}

/// Table `outbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub project: ProjectId,
    pub event: AlertEvent,
    pub execution: Option<ExecutionId>,
    pub run: Option<RunId>,
    pub job: Option<JobId>,
    pub body: String,
    pub created: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    ExecutionSucceeded,
    ExecutionFailed,
    ExecutionStopped,
    AttemptUnknown,
    FiringFailed,
    /// Its executions overlap, and its policy says not to fire.
    FiringSkipped,
    /// It takes longer than its interface says.
    RunLate,
    /// It was stopped for that.
    RunTimedOut,
    /// So many of its executions have failed that it makes no more.
    BackfillPaused,
}
