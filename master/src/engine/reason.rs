//! Every reason the engine gives, in one place: why a job waits, was skipped or failed, why a verb is
//! refused, why an instant was decided so. The text is English and goes into rows and answers; pages
//! find its Chinese by the pattern ([`Reason::PATTERNS`]), and a test finds the pattern that has none.
//!
//! A reason inside of another stands in a field named `why` or `what`: only these are looked up again.

use super::rows::Verdict;
use chrono::NaiveDate;
use shared::ids::*;
use shared::period::Period;

/// Characters of a reason in a row; the column has 255.
const CHARS_MAX: usize = 200;

macro_rules! reasons {
    ($($name:ident { $($field:ident: $kind:ty),* } $text:literal)*) => {
        /// What the engine says to people.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($name { $($field: $kind),* },)*
        }

        impl Reason {
            /// The texts with `{names}` where values stand: keys of the catalogue of languages.
            pub const PATTERNS: &[&str] = &[$($text),*];
        }

        impl std::fmt::Display for Reason {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                match self {
                    $(Reason::$name { $($field),* } => write!(f, $text),)*
                }
            }
        }
    };
}

reasons! {
    // ---- why a job has no place ----
    NoHostFits {} "no host has all that it asks for: see its hosts and labels"
    PoolFull { pool: PoolId } "pool {pool} is full"
    NoEnvironment { environment: String, n: usize } "none of {n} host(s) that answer has environment {environment}"
    NoneAnswers { n: usize } "none of {n} host(s) answers"
    NoFreeSlot { n: usize } "no free slot on {n} host(s)"
    NoFreeSlots { slots: u32, n: usize } "no {slots} free slots on any of {n} host(s)"
    NoHostAnswers {} "no host answers"
    HostInDoubt { host: HostId } "after a failover of the database host {host} must first say what it runs; if it is gone for good, retire it"
    RunPaused {} "the run is paused"

    // ---- how an attempt ended ----
    ExitCode { code: i32 } "exit code {code}"
    ExitMeans { code: i32, why: String } "exit code {code}: {why}"
    Signal { signal: i32 } "ended by signal {signal}"
    Killed {} "killed"
    Fenced {} "its host had lost the leader and gave it up"
    TookTooLong {} "it took longer than its time-out"
    OverMemory {} "killed: it needed more memory than its limit"
    HostOutOfMemory {} "killed, most likely because its host had no memory left"
    DiskLow {} "refused: the host's disk is almost full"
    Draining {} "refused: the host is draining"
    CannotStart { why: String } "cannot start: {why}"
    EndUnknown {} "how it ended is not known"
    HostSilent {} "its host fell silent"
    Abandoned {} "abandoned by hand"
    NotObserved { why: Box<Reason> } "what runs elsewhere goes on, and will be looked for again: {why}"
    Again { n: u32, all: u32, why: Box<Reason> } "attempt {n} of {all}: {why}"
    Held {} "it is gone, and how it ended is not known"
    StoppedByHand {} "stopped by hand"
    Overtaken {} "stopped by its dispatch, which has fired again"
    RunTookTooLong { seconds: u32 } "its run has taken longer than {seconds} s"
    MarkedByHand { note: String } "marked by hand: {note}"

    // ---- why a job never began ----
    JobSucceeded { job: String } "{job} succeeded"
    JobFailed { job: String } "{job} failed"
    JobTimedOut { job: String } "{job} timed out"
    JobSkipped { job: String } "{job} skipped"
    JobStopped { job: String } "{job} stopped"
    JobLeftOut { job: String } "{job} was left out"
    LeftOut {} "not asked for"
    LeftOutByHand { note: String } "left out by hand: {note}"
    TakenOver { generation: u32 } "it succeeded in generation {generation}, which counts"
    RunGone { run: RunId } "run {run} is gone"
    GaveUp { what: Box<Reason> } "gave up waiting for {what}"
    InCycle {} "it is in or behind a cycle of jobs"
    JobGone { job: JobId } "job {job}, which it is to come after, is gone"

    // ---- what is waited for ----
    OfPeriod { interface: String, period: Period } "{interface} {period}"
    OfRun { run: RunId } "run {run}"
    OfJob { job: String, interface: String, period: Period } "job {job} of {interface} {period}"

    // ---- how an instant was decided ----
    Unstorable {} "its rows could not be stored"
    DispatchPaused {} "the dispatch is paused"
    InterfaceFrozen {} "the interface is frozen"
    NoDay { date: NaiveDate, calendar: String } "{date} is not among the days of calendar {calendar} on which it fires"
    NoPeriodOfDay { date: NaiveDate, calendar: String } "its interface has no period of {date}, which does not work by calendar {calendar}"
    NoCalendar { id: CalendarId } "there is no calendar {id}"
    InBlackout { window: String } "in its blackout window {window}"
    StillRuns { n: usize } "{n} execution(s) that it has fired before still run"
    Late { seconds: i64 } "{seconds} s late"
    LateNotLast { seconds: i64 } "{seconds} s late, and not the last"
    TooLate { seconds: i64, limit: u32 } "{seconds} s late, which is more than {limit} s"

    // ---- why a backfill makes nothing just now ----
    OutsideWindow {} "outside of its windows"
    FailedSoOften { n: u32 } "{n} of its executions have ended without success"

    // ---- why a verb is refused ----
    NoBackfill { id: CommandId } "backfill {id} has ended, or there is none"
    BadBackfill { field: String, why: String } "field {field} of the backfill: {why}"
    TooManyBackfills { n: usize } "{n} backfills of this project have not ended: cancel one, or wait for it"
    SameBackfill { id: CommandId } "backfill {id} is the same and has not ended: look at that one"
    TooManyPeriods { n: usize } "these are more than {n} periods: ask for them in parts"
    TooManyRunsFilled { n: u64 } "these are more than {n} runs: ask for fewer periods at once"
    NoPeriodLeft {} "no period is left of it: all are skipped, or are days off"
    NoInterface { id: InterfaceId } "there is no interface {id}"
    NoDispatch { id: DispatchId } "there is no dispatch {id}"
    NoExecution { id: ExecutionId } "there is no execution {id}"
    NoRun { run: RunId } "there is no run {run}"
    NoSuchPeriod { interface: String, cut: String, period: Period } "{period} is no period of {interface}, whose granularity is {cut}"
    RestDay { interface: String, period: Period } "{period} is no working day of the calendar of {interface}: it has no such period"
    NoPeriods { interface: String, period: Period, why: String } "{interface} for {period}: {why}"
    TooManyRuns { n: usize } "these are more than {n} runs"
    Frozen { interface: String } "{interface} is frozen"
    NothingLive {} "nothing of it is live"
    NoOwnRuns {} "it has no runs of its own"
    NothingFailed { what: Box<Reason> } "nothing of {what} has failed or was stopped"
    VersionGone { version: i64, interface: String } "version {version} of {interface}, by which it was made, is not stored any more: run it anew"
    Purged { interface: String } "what its jobs did is purged by now: run {interface} anew"
    NotNewest { generation: u32, what: Box<Reason> } "generation {generation} of {what} is not the newest: resume that one"
    RunNotLive {} "the run is not live"
    StillLives {} "it still lives: stop it first, or wait for its end"
    PartOfLive { what: Box<Reason> } "a run of {what} is live: resume, skip or force jobs of that one"
    NoSuchJob { job: JobId, interface: String } "{interface} has no job {job}"
    NotSucceeded { what: Box<Reason> } "{what} has not succeeded: only what has is followed"
    NoFollowers { interface: String } "nothing depends on {interface}"
    NothingPaused {} "nothing of it is paused"
    NothingToPause {} "nothing of it can be paused"
    JobBegun {} "the job has begun, or has ended"
    WaitsForNothing {} "it waits for nothing that can be passed over"
    IsPaused {} "it is paused already"
    IsNotPaused {} "it is not paused"
    HasPriority { priority: i32 } "its priority is {priority} already"
    JobEnded {} "the job has ended, or is being stopped"
    NotMarkable {} "only a job that has ended without success can be marked"
    NoHostHasIt {} "no host has it"
}

impl Reason {
    /// As a row keeps it.
    pub fn told(&self) -> String {
        self.to_string().chars().take(CHARS_MAX).collect()
    }

    /// What has become of a job or a run on which something else depends.
    pub(crate) fn ended(name: String, verdict: Verdict) -> Reason {
        match verdict {
            Verdict::Succeeded => Reason::JobSucceeded { job: name },
            Verdict::Failed => Reason::JobFailed { job: name },
            Verdict::TimedOut => Reason::JobTimedOut { job: name },
            Verdict::Skipped => Reason::JobSkipped { job: name },
            Verdict::Stopped => Reason::JobStopped { job: name },
            Verdict::LeftOut => Reason::JobLeftOut { job: name },
        }
    }
}
