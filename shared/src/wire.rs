//! What leader and host say to each other. The leader dials; the host answers.
//!
//! `docs/PROTOCOL.md` has the rules; their names (H4 …) stand here where they bite.

use crate::etl::Etl;
use crate::external::External;
use crate::ids::{Answer, AttemptId, Incarnation, Millis, Reigning};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised when the two sides would misunderstand each other; told in `hello`.
pub const PROTOCOL: u32 = 1;
/// A frame of the wire, in bytes. A reply larger than that would end the connection.
pub const FRAME_MAX: usize = 256 * 1024;
/// Attempts listed in one answer: more come with the next one. So many fit a frame, refusals with
/// their words included.
pub const LISTED_MAX: usize = 500;
/// Named environments of one host, whole or not, and bytes of the words about one: they travel with
/// an answer.
pub const NAMED_MAX: usize = 32;
pub const NAMED_WORDS_MAX: usize = 160;
/// Services of one host: they travel with an answer too.
pub const SERVICES_MAX: usize = 16;
/// Servers of named environments that a host asks whether they are there.
pub const SERVERS_MAX: usize = 16;
/// Former lives that an answer names.
pub const FOLLOWS_MAX: usize = 16;
/// Orders in one call.
pub const ORDERS_MAX: usize = 200;

/// The numbers that master and hosts must agree on, in milliseconds; checked at start:
/// `fence + kill grace < lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// A host gives its `retry` jobs up this long after it gave the last answer the leader stored.
    pub fence_ms: Millis,
    /// The leader gives a silent host up after this long.
    pub lost_ms: Millis,
    /// What is settled is remembered this long at least.
    pub memory_ms: Millis,
    /// The longest a `watch` is held open.
    pub watch_ms: Millis,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { fence_ms: 15_000, lost_ms: 25_000, memory_ms: 24 * 3_600_000, watch_ms: 3_000 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    Start(Box<Start>),
    Kill { attempt: AttemptId, incarnation: Incarnation, grace_ms: Millis },
}

impl Order {
    pub fn attempt(&self) -> AttemptId {
        match self {
            Order::Start(start) => start.attempt,
            Order::Kill { attempt, .. } => *attempt,
        }
    }
}

/// The same however often and by whomever it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub attempt: AttemptId,
    /// The last answer known when the attempt was *assigned*, stored with it (rule H4).
    pub basis: Answer,
    /// An `on_lost = retry` job: it runs only under the host's lease (rule H8).
    pub leased: bool,
    /// The supervisor sees to it: its monotonic clock is the only one that saw the start.
    pub timeout_ms: Option<Millis>,
    /// From TERM to KILL when it times out or is fenced.
    pub grace_ms: Millis,
    pub work: Work,
}

/// One process, as a kind has described it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The program and its arguments; never text for a shell.
    pub argv: Vec<String>,
    /// In addition to a small, fixed environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; empty means the attempt's own.
    #[serde(default)]
    pub dir: String,
    /// Exit codes that mean success.
    pub success_codes: Vec<i32>,
    /// User on the host; none means the executor's own.
    #[serde(default)]
    pub user: Option<String>,
    /// Bytes of output kept per stream: head and tail beyond that.
    #[serde(default)]
    pub output_max: Option<u64>,
    #[serde(default)]
    pub limits: Limits,
    /// A named environment of the host, below the variables of `env`; none means the fixed one alone.
    #[serde(default)]
    pub environment: Option<String>,
    /// Of Kettle and Hop: the executor's own program stands before `argv`.
    #[serde(default)]
    pub etl: Option<Box<Etl>>,
    /// What is submitted elsewhere: the executor's own program submits it and looks on; there is no `argv`.
    #[serde(default)]
    pub external: Option<Box<External>>,
}

/// What it may use of its host; none means what the host gives everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub memory_mib: Option<u32>,
    pub open_files: Option<u32>,
    pub processes: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By a kill order.
    Killed,
    /// The lease ran out.
    Fenced,
    TimedOut,
    /// By the kernel: it needed more memory than its own limit.
    OverMemory,
    /// By the kernel, most likely: the host had no memory left.
    HostOutOfMemory,
}

/// Why a host could not begin an attempt: it never began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    DiskLow,
    /// The program, the directory or the user is not there; the operating system's words.
    CannotStart(String),
    Draining,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Running,
    Ended(Exit),
    Refused(Refusal),
    /// Begun by an earlier incarnation, or never known; gone; how it ended was not seen.
    Unknown,
}

/// How one attempt stands. Times are the host's wall clock: for people only, never for order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub attempt: AttemptId,
    pub state: State,
    pub started_ms: Option<Millis>,
    pub ended_ms: Option<Millis>,
    /// Bytes written so far, out and err.
    pub out_bytes: u64,
    pub err_bytes: u64,
    /// Largest resident memory, in KiB, and processor time, in milliseconds, once it has ended.
    #[serde(default)]
    pub rss_max_kib: Option<u64>,
    #[serde(default)]
    pub cpu_ms: Option<u64>,
}

/// What every call begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub cluster: String,
    pub leader: Reigning,
}

/// Starts and kills. The acknowledgement says only that they were taken up (or not, see
/// [`Refused`]); how they fare comes with `watch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCall {
    pub call: Call,
    /// As in [`WatchCall`]: a start under the lease may be the first thing that an idle leader stores.
    #[serde(default)]
    pub stored: Option<Answer>,
    pub orders: Vec<Order>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchCall {
    pub call: Call,
    /// Answer with what changed since this one; with all that is remembered when it is of another
    /// life, or none.
    pub after: Option<Answer>,
    /// The last answer that the leader has stored, in a guarded batch that began after it heard
    /// it: the host may forget what it said there, and its lease counts from it (rules H5, H8, H9).
    pub stored: Option<Answer>,
    /// Hold the call open at most this long while there is nothing to say.
    pub hold_ms: Millis,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchAnswer {
    pub answer: Answer,
    /// All that is remembered is listed, in this and the following answers until `more` is false.
    pub full: bool,
    pub listed: Vec<Report>,
    /// Cut at [`LISTED_MAX`]: ask again at once.
    pub more: bool,
    /// The host's wall clock: for people only.
    pub wall_ms: Millis,
    /// Now and then.
    pub facts: Option<Box<HostFacts>>,
    /// With what is full: whose journal this life has read whole. At most [`FOLLOWS_MAX`].
    #[serde(default)]
    pub follows: Vec<Former>,
}

/// A former life of the same supervisor, in the same life of its machine. What was assigned to it and
/// is not listed, it has never begun (rule H11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    pub incarnation: Incarnation,
    /// Orders that rest on an earlier answer of it may be about what it had forgotten.
    pub floor: u64,
}

/// A host refuses a call: a foreign cluster, an older reign. It names the reign it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    #[error("this host belongs to cluster {0:?}")]
    Cluster(String),
    #[error("this host obeys a leader of epoch {}", .0.epoch)]
    Reign(Reigning),
    #[error("a newer connection has taken over")]
    Superseded,
    #[error("this certificate may not do that")]
    Role,
    #[error("the supervisor does not answer: {0}")]
    Supervisor(String),
    #[error("this executor speaks protocol {0}: bring both sides to versions that fit")]
    Protocol(u32),
    #[error("`hello` comes first on every connection")]
    HelloFirst,
    #[error("the certificate is not exchanged: {0}")]
    Certificate(String),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    pub version: String,
    pub os: String,
    pub hostname: String,
    pub cores: u32,
    /// 0 to 100, of all cores.
    pub cpu_percent: f32,
    pub load_1: f32,
    pub memory_total: u64,
    pub memory_used: u64,
    pub disk_total: u64,
    pub disk_used: u64,
    /// Since when this incarnation lives: the host's wall clock.
    pub since_ms: Millis,
    pub running: u32,
    /// Programs found: `java` → `17.0.15`.
    pub environments: BTreeMap<String, String>,
    /// Named environments that jobs may ask for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, Named>,
    /// What it keeps running beside its jobs, by name; at most [`SERVICES_MAX`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// Servers that its named environments name, by environment and kind; at most [`SERVERS_MAX`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, Reach>,
}

/// A server elsewhere (Carte, Hop server), as a host reaches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reach {
    pub answers: bool,
    /// Since when it does, or does not: the host's wall clock.
    pub since_ms: Millis,
    /// Why it does not; at most [`NAMED_WORDS_MAX`] bytes.
    pub words: String,
}

/// A service of a host, as its host tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    pub runs: bool,
    /// Since when it runs, or does not: the host's wall clock; 0: not known.
    pub since_ms: Millis,
    /// How often it was started again.
    pub restarts: u32,
    /// Why it does not run, or how it ended last; at most [`NAMED_WORDS_MAX`] bytes.
    pub words: String,
}

/// A named environment, as its host tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Nothing of it is missing: jobs may be given it.
    pub whole: bool,
    /// What it is made of, or what is missing; at most [`NAMED_WORDS_MAX`] bytes.
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    pub cluster: String,
    pub version: String,
    /// From the executor's certificate: two rows with one agent are refused (rule H1).
    pub agent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Out,
    Err,
}

/// Which part of whose output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    pub attempt: AttemptId,
    pub stream: Stream,
    /// The first byte wanted.
    pub from: u64,
    /// Bytes, at most; and what a frame holds.
    pub max: u32,
}

/// When a part of the output was written: up to these lengths at that time (grain: 100 ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub at_ms: Millis,
    pub out_len: u64,
    pub err_len: u64,
}

/// A part of one attempt's output, as the bytes are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogPart {
    pub from: u64,
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
    /// Bytes written so far; more may come unless `ended`.
    pub len: u64,
    pub ended: bool,
    /// The part of the file that the quota has cut out, if any: from, until.
    pub hole: Option<(u64, u64)>,
    /// The marks that concern these bytes.
    pub marks: Vec<Mark>,
}

/// Bytes as bytes: otherwise a `Vec<u8>` is written number by number.
pub(crate) mod bytes {
    use serde::de::{Deserializer, SeqAccess, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{JobId, RunId};

    /// Whatever numbers it holds: an answer that no frame holds would be refused for ever.
    #[test]
    fn the_longest_list_fits_a_frame() {
        let report = |number| Report {
            attempt: AttemptId {
                run: RunId(i64::MAX),
                job: JobId(i64::MAX),
                number,
                reign: i64::MAX,
            },
            state: State::Refused(Refusal::CannotStart("x".repeat(60))),
            started_ms: Some(i64::MAX),
            ended_ms: Some(i64::MAX),
            out_bytes: u64::MAX,
            err_bytes: u64::MAX,
            rss_max_kib: Some(u64::MAX),
            cpu_ms: Some(u64::MAX),
        };
        let count = u32::try_from(LISTED_MAX).unwrap();
        let answer = WatchAnswer {
            answer: Answer { incarnation: Incarnation(u128::MAX), seq: u64::MAX },
            full: true,
            listed: (0..count).map(|number| report(u32::MAX - number)).collect(),
            more: true,
            wall_ms: i64::MAX,
            facts: Some(Box::new(HostFacts {
                named: (0..NAMED_MAX)
                    .map(|n| {
                        let words = "x".repeat(NAMED_WORDS_MAX);
                        (format!("{n:-<40}"), Named { whole: true, words })
                    })
                    .collect(),
                services: (0..SERVICES_MAX)
                    .map(|n| {
                        let words = "x".repeat(NAMED_WORDS_MAX);
                        (format!("{n:-<40}"), Service { words, ..Service::default() })
                    })
                    .collect(),
                servers: (0..SERVERS_MAX)
                    .map(|n| {
                        let words = "x".repeat(NAMED_WORDS_MAX);
                        (format!("{n:-<50}"), Reach { words, ..Reach::default() })
                    })
                    .collect(),
                ..HostFacts::default()
            })),
            follows: vec![
                Former { incarnation: Incarnation(u128::MAX), floor: u64::MAX };
                FOLLOWS_MAX
            ],
        };
        let size = crate::codec::encode(&answer).unwrap().len();
        assert!(size + 8 * 1024 <= FRAME_MAX, "{size} of {FRAME_MAX}");
    }
}
