//! Definitions: what people write. Stored as versioned JSON, applied from YAML, read by the engine.
//!
//! Every field has a default where one is sensible, so that an older text is still understood;
//! unknown fields are refused, so that a slip of the pen is not silence.

use crate::calendar::DaysSpec;
use crate::ids::{CalendarId, HostId, InterfaceId, JobId, PoolId};
use crate::period::Granularity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A named DAG of jobs (接口, 任务流). Its jobs are rows of their own: [`JobSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceSpec {
    #[serde(default)]
    pub description: String,
    /// 目录: how lists group it.
    #[serde(default)]
    pub catalog: String,
    /// 责任人: who is asked first.
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub granularity: Granularity,
    /// IANA name; periods are cut by its calendar.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// 逻辑账期: only the working days of this calendar are periods; of daily interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarId>,
    /// The mesh: whose runs its runs wait for.
    #[serde(default)]
    pub parents: Vec<Parent>,
    #[serde(default)]
    pub on_failure: OnFailure,
    /// 自依赖: a run waits until no run of the period before is live, or has failed.
    #[serde(default)]
    pub self_dependence: SelfDependence,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// 冻结: no new run begins a job.
    #[serde(default)]
    pub frozen: bool,
    /// How long a run may wait for its parents.
    #[serde(default = "default_wait_timeout_s")]
    pub wait_timeout_s: u32,
    /// A run that has begun, and has not ended so long after, is told to on-call. None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_after_s: Option<u32>,
    /// A run that has begun, and has not ended so long after, is stopped. None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after_s: Option<u32>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

impl Default for InterfaceSpec {
    fn default() -> InterfaceSpec {
        InterfaceSpec {
            description: String::new(),
            catalog: String::new(),
            owner: String::new(),
            granularity: Granularity::default(),
            zone: default_zone(),
            calendar: None,
            parents: Vec::new(),
            on_failure: OnFailure::default(),
            self_dependence: SelfDependence::default(),
            priority: 0,
            frozen: false,
            wait_timeout_s: default_wait_timeout_s(),
            alarm_after_s: None,
            stop_after_s: None,
            params: BTreeMap::new(),
        }
    }
}

fn default_zone() -> String {
    "Asia/Shanghai".into()
}

fn default_wait_timeout_s() -> u32 {
    24 * 3600
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub interface: InterfaceId,
    #[serde(default)]
    pub map: PeriodMap,
}

/// Which periods of a target one period of the waiter needs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PeriodMap {
    /// The same one; of a coarser target the one that contains it; of a finer one all within.
    #[default]
    Same,
    /// All periods of a finer target within ours.
    AllWithin,
    /// The last one of a finer target within ours.
    LastWithin,
    /// The n before ours (and not ours).
    Previous(u32),
    /// The one so many steps later (negative: earlier).
    Offset(i32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Independent branches go on.
    #[default]
    Continue,
    /// What has not begun is skipped, what runs is left to end.
    Stop,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfDependence {
    #[default]
    None,
    /// No run of the previous period is live.
    Idle,
    /// The previous period has succeeded, or has no run at all.
    Succeeded,
}

/// One thing to run (任务). It belongs to one interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub catalog: String,
    #[serde(default)]
    pub owner: String,
    /// Name of a registered kind: `shell`.
    pub kind: String,
    /// The fields that the kind declares.
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
    /// Edges inside the interface.
    #[serde(default)]
    pub after: Vec<Edge>,
    #[serde(default)]
    pub join: Join,
    /// Jobs of other interfaces: waits, never run again.
    #[serde(default)]
    pub needs: Vec<Need>,
    #[serde(default)]
    pub place: PlaceSpec,
    /// A named environment of its host: it runs only where there is one, and with its variables.
    /// Silent where it says nothing, as are its limits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
    #[serde(default)]
    pub policy: Policy,
    /// Written only where something is said: a master of the release before can read the rest.
    #[serde(default, skip_serializing_if = "LimitSpec::is_silent")]
    pub limits: LimitSpec,
    #[serde(default)]
    pub priority: i32,
    #[serde(default)]
    pub frozen: bool,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    pub job: JobId,
    #[serde(default)]
    pub expect: Expect,
}

/// What an edge expects of the job it comes from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    #[default]
    Success,
    /// It failed or timed out. A failure that such an edge takes up is *handled*.
    Failure,
    /// It has ended, however (skipped too).
    Done,
}

/// Whether all edges must hold before a node starts, or any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    #[default]
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub interface: InterfaceId,
    pub job: JobId,
    #[serde(default)]
    pub map: PeriodMap,
}

/// Where it may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceSpec {
    /// One of these; none means any.
    pub hosts: Vec<HostId>,
    /// All of these labels.
    pub labels: Vec<String>,
    /// How many slots of its host it takes.
    pub slots: u32,
    /// Takes one place of each of these pools.
    pub pools: Vec<PoolId>,
}

impl Default for PlaceSpec {
    fn default() -> PlaceSpec {
        PlaceSpec { hosts: Vec::new(), labels: Vec::new(), slots: 1, pools: Vec::new() }
    }
}

/// What an attempt may use of its host; none means what the host gives everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSpec {
    pub memory_mib: Option<u32>,
    pub open_files: Option<u32>,
    pub processes: Option<u32>,
}

impl LimitSpec {
    fn is_silent(&self) -> bool {
        *self == LimitSpec::default()
    }

    /// As the host is told.
    pub fn told(&self) -> crate::wire::Limits {
        let LimitSpec { memory_mib, open_files, processes } = *self;
        crate::wire::Limits { memory_mib, open_files, processes }
    }
}

fn one() -> u32 {
    1
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The first one counts: 1 means no retry.
    pub attempts_max: u32,
    pub backoff: Backoff,
    /// After this long the supervisor ends it; none means never.
    pub timeout_s: Option<u32>,
    /// From TERM to KILL.
    pub kill_grace_s: u32,
    pub on_lost: OnLost,
    pub on_unknown: OnUnknown,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            attempts_max: 1,
            backoff: Backoff::default(),
            timeout_s: None,
            kill_grace_s: 10,
            on_lost: OnLost::Wait,
            on_unknown: OnUnknown::Hold,
        }
    }
}

/// How long until the next attempt: `delay x factor^(failures - 1)`, at most `delay_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    pub delay_s: u32,
    pub factor: u32,
    pub delay_max_s: u32,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { delay_s: 30, factor: 2, delay_max_s: 1800 }
    }
}

/// The host is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// Nothing is done until the host speaks again or a person abandons the attempt.
    #[default]
    Wait,
    /// Tried again elsewhere; the host's lease sees to it that the first one is dead by then.
    Retry,
}

/// The host is back, and how the attempt ended is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    #[default]
    Hold,
    Fail,
    Retry,
}

/// Cron, zone and policies on one interface (调度).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchSpec {
    #[serde(default)]
    pub description: String,
    pub interface: InterfaceId,
    /// Five fields, or six with seconds first; or `@every 90m`.
    pub cron: String,
    #[serde(default = "default_zone")]
    pub zone: String,
    /// Periods before the one that contains the scheduled instant: 1 is T-1.
    #[serde(default = "default_period_offset")]
    pub period_offset: i32,
    /// 是否触发后置任务流: with all that descends from the interface.
    #[serde(default = "yes")]
    pub cascade: bool,
    #[serde(default)]
    pub misfire: Misfire,
    /// An instant is late, and the misfire policy decides, after this long.
    #[serde(default = "default_late_s")]
    pub late_s: u32,
    // Silent where it says nothing: a master of the release before goes on reading the others.
    #[serde(default, skip_serializing_if = "Overlap::is_silent")]
    pub overlap: Overlap,
    /// When it does not fire, in its zone: `22:00-02:00 SAT,SUN`, or one span of dates,
    /// `2026-12-31 22:00/2027-01-02 06:00`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<String>,
    /// On which days of which calendar it fires, by the date in its zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<DaysSpec>,
    /// Only between these dates (UTC milliseconds): from inclusive, until exclusive.
    #[serde(default)]
    pub from_ms: Option<i64>,
    #[serde(default)]
    pub until_ms: Option<i64>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

fn default_period_offset() -> i32 {
    1
}

fn yes() -> bool {
    true
}

fn default_late_s() -> u32 {
    300
}

/// What becomes of instants that passed while nobody could fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Every one of them is made good.
    #[default]
    All,
    /// Only the last.
    Last,
    /// None of them.
    None,
    /// Those at most so many seconds late.
    Within(u32),
}

/// What becomes of an instant while executions that the same dispatch has fired still live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It fires.
    #[default]
    Allow,
    /// It does not, and on-call is told.
    Skip,
    /// It does not while so many live, and on-call is told.
    Parallel(u32),
    /// It fires, and each of its runs waits until the one of the same interface before it has ended.
    Queue,
    /// It fires, and what is live of other periods is stopped.
    Cancel,
}

impl Overlap {
    fn is_silent(&self) -> bool {
        *self == Overlap::default()
    }
}

/// A machine with an executor (执行服务器).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    #[serde(default)]
    pub description: String,
    /// `name:port` or `address:port` of its executor.
    pub address: String,
    #[serde(default = "default_slots")]
    pub slots: u32,
    /// Of two hosts with the same share of free slots, the heavier is taken.
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub labels: Vec<String>,
    /// Nothing new is placed on it.
    #[serde(default)]
    pub draining: bool,
}

fn default_slots() -> u32 {
    8
}
