//! What people and programs ask of the World, and what it answers.

use super::backfill::BackfillSpec;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::period::Period;
use std::collections::BTreeMap;

/// What people and programs ask for: table `command`, `verb` and `args` together as JSON
/// `{"verb": "stop", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    RunNow {
        interface: InterfaceId,
        period: Period,
        #[serde(default)]
        cascade: bool,
        #[serde(default)]
        params: BTreeMap<String, String>,
        /// Runs that have succeeded count; otherwise they get a new generation.
        #[serde(default)]
        missing_only: bool,
        #[serde(default)]
        api: bool,
    },
    /// A new generation of some jobs of one interface: of the others what they have done before
    /// counts, and what they have not done is left out. Without parameters those of the generation
    /// before.
    RunPart {
        interface: InterfaceId,
        period: Period,
        job: JobId,
        part: Part,
        #[serde(default)]
        params: BTreeMap<String, String>,
        #[serde(default)]
        api: bool,
    },
    /// 继续后置: all that descends from a run which has succeeded, if it is missing or stale; `all`:
    /// also what has succeeded since.
    Follow {
        run: RunId,
        #[serde(default)]
        all: bool,
    },
    /// 重置: an execution that has ended is made anew by the definitions of now, all of it, and
    /// waits for `start_execution`.
    Reset {
        execution: ExecutionId,
    },
    /// Nothing new begins in its own runs until `start_execution`.
    PauseExecution {
        execution: ExecutionId,
    },
    /// 启动: what of its own runs is paused goes on, or begins.
    StartExecution {
        execution: ExecutionId,
    },
    /// Stops what lives of an execution: its own runs.
    StopExecution {
        execution: ExecutionId,
    },
    Stop {
        run: RunId,
    },
    /// 断点续跑: failed, stopped, skipped and timed-out jobs again, in the same run.
    ResumeExecution {
        execution: ExecutionId,
    },
    Resume {
        run: RunId,
    },
    /// Nothing new begins in this run until `unpause`.
    Pause {
        run: RunId,
    },
    Unpause {
        run: RunId,
    },
    /// Its jobs that wait for a place go before those of a lower one.
    Prioritize {
        run: RunId,
        priority: i32,
    },
    Kill {
        run: RunId,
        job: JobId,
    },
    MarkSuccess {
        run: RunId,
        job: JobId,
        reason: String,
    },
    /// A job that has not begun is left out of this run; what comes after it goes on.
    Skip {
        run: RunId,
        job: JobId,
        reason: String,
    },
    /// The job, or without one the whole run, begins in spite of what it waits for.
    Force {
        run: RunId,
        #[serde(default)]
        job: Option<JobId>,
    },
    /// Declares an unknown or unreachable attempt dead.
    Abandon {
        run: RunId,
        job: JobId,
    },
    PauseDispatch {
        dispatch: DispatchId,
    },
    ResumeDispatch {
        dispatch: DispatchId,
    },
    /// 立即执行 of a dispatch: what it would start, for this period.
    RunDispatch {
        dispatch: DispatchId,
        period: Period,
        cascade: bool,
    },
    /// 补数: its periods are made one after the other, as slots open. Its id is that of the command.
    Backfill {
        spec: Box<BackfillSpec>,
    },
    /// It makes nothing new; what lives goes on.
    PauseBackfill {
        backfill: CommandId,
    },
    ResumeBackfill {
        backfill: CommandId,
    },
    /// It makes nothing more, ever.
    CancelBackfill {
        backfill: CommandId,
        /// What lives of it is stopped too.
        #[serde(default)]
        stop: bool,
    },
    /// This machine is dead and will not come back under its name.
    Retire {
        host: HostId,
    },
}

/// Which jobs of an interface, seen from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It alone.
    Alone,
    /// It and all that comes after it.
    From,
    /// All that comes before it, and it.
    To,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub project: ProjectId,
    pub by: UserId,
    pub verb: Verb,
    /// Only tell what it would do. Stored in `args` beside the verb's own arguments.
    pub dry_run: bool,
}

/// What became of a command; written with its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    pub done: bool,
    /// What it did, or why it did nothing.
    pub plan: Plan,
    pub at: Millis,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What a verb would do, or has done: the dry run of the very call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Why it does nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionId>,
    /// Of a backfill: executions that it is to make.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub executions: u32,
    pub runs_made: u32,
    pub runs_joined: u32,
    pub runs_satisfied: u32,
    #[serde(default)]
    pub runs_paused: u32,
    #[serde(default)]
    pub runs_started: u32,
    pub jobs_to_run: u32,
    pub jobs_stopped: u32,
    pub jobs_skipped: u32,
    pub jobs_reset: u32,
    pub attempts_abandoned: u32,
    pub runs_waiting_on_it: u32,
}
