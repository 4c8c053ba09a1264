//! Names of things.
//!
//! Definitions have small integer ids that people say aloud. Executions and runs have ids that are
//! *derived* from what they are, so that doing a lost thing again makes the same thing.

use crate::period::Period;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00Z, or of a monotonic clock where the name says so.
pub type Millis = i64;

macro_rules! small_ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )*};
}

small_ids! {
    /// Whom things belong to; 1 is the default project of the first start.
    ProjectId,
    InterfaceId,
    JobId,
    DispatchId,
    CalendarId,
    HostId,
    UserId,
    /// Commands are obeyed in the order of their ids.
    CommandId,
    /// A concurrency pool.
    PoolId,
}

/// A 63-bit id made from what it names: the first bits of a SHA-256.
fn derived(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let bytes: [u8; 32] = hash.finalize().into();
    let first = bytes[..8].try_into().unwrap_or([0; 8]);
    (u64::from_be_bytes(first) >> 1) as i64
}

/// Crockford's alphabet: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Thirteen characters of base32, always.
fn write_base32(id: i64, f: &mut fmt::Formatter) -> fmt::Result {
    let text = (0..13).rev().map(|at| ALPHABET[((id >> (at * 5)) & 31) as usize] as char);
    f.write_str(&text.collect::<String>())
}

/// The text is not 13 characters of base32.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is not an id: 13 characters of 0-9 and a-z without i, l, o, u are expected")]
pub struct BadId(String);

fn read_base32(text: &str) -> Result<i64, BadId> {
    let bad = || BadId(text.chars().take(40).collect());
    if text.len() != 13 {
        return Err(bad());
    }
    let mut id: u64 = 0;
    for byte in text.bytes() {
        let lower = byte.to_ascii_lowercase();
        let digit = ALPHABET.iter().position(|&c| c == lower).ok_or_else(bad)?;
        id = (id << 5) | digit as u64;
    }
    // 13 x 5 = 65 bits: what would not come back the same is no id of ours.
    match i64::try_from(id) {
        Ok(id) if text.as_bytes()[0] <= b'7' => Ok(id),
        _ => Err(bad()),
    }
}

macro_rules! derived_ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write_base32(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                read_base32(text).map($name)
            }
        }

        // JSON knows 53 bits only: people and pages see the text, the wire the number.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match to.is_human_readable() {
                    true => to.collect_str(self),
                    false => to.serialize_i64(self.0),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match from.is_human_readable() {
                    true => String::deserialize(from)?.parse().map_err(serde::de::Error::custom),
                    false => i64::deserialize(from).map($name),
                }
            }
        }
    )*};
}

derived_ids! {
    /// One start: a firing, a hand, an API call.
    ExecutionId,
    /// One generation of one interface for one period.
    RunId,
}

impl ExecutionId {
    /// Of a dispatch's instant.
    pub fn of_firing(dispatch: DispatchId, instant: Millis) -> ExecutionId {
        ExecutionId(derived(&[b"firing", &dispatch.0.to_be_bytes(), &instant.to_be_bytes()]))
    }

    /// Of one period of a backfill.
    pub fn of_backfill(backfill: CommandId, period: Period) -> ExecutionId {
        let period = period.to_string();
        ExecutionId(derived(&[b"backfill", &backfill.0.to_be_bytes(), period.as_bytes()]))
    }

    /// Of a person's or a program's command.
    pub fn of_command(command: CommandId) -> ExecutionId {
        ExecutionId(derived(&[b"command", &command.0.to_be_bytes()]))
    }
}

impl RunId {
    pub fn of(interface: InterfaceId, period: Period, generation: u32) -> RunId {
        let period = period.to_string();
        let parts: [&[u8]; 4] =
            [b"run", &interface.0.to_be_bytes(), period.as_bytes(), &generation.to_be_bytes()];
        RunId(derived(&parts))
    }
}

/// The key of an alert, made from what it tells of: telling again writes the same row.
pub fn alert_key(event: &str, about: &str, at: Millis) -> i64 {
    derived(&[b"alert", event.as_bytes(), about.as_bytes(), &at.to_be_bytes()])
}

/// A node of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobRunId {
    pub run: RunId,
    pub job: JobId,
}

/// The key of idempotence everywhere. The reign (the holder of the lead that assigned it) is in it
/// because a database that loses its last commits makes the next leader count from an older number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    pub run: RunId,
    pub job: JobId,
    pub number: u32,
    pub reign: i64,
}

impl AttemptId {
    pub fn job_run(self) -> JobRunId {
        JobRunId { run: self.run, job: self.job }
    }
}

/// `RUN-JOB-NUMBER-REIGN`: in file names, URLs and logs.
impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}-{}-{}-{:x}", self.run, self.job, self.number, self.reign)
    }
}

impl FromStr for AttemptId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.chars().take(80).collect());
        let parts: Vec<&str> = text.split('-').collect();
        let [run, job, number, reign] = parts[..] else { return Err(bad()) };
        Ok(AttemptId {
            run: run.parse()?,
            job: job.parse().map_err(|_| bad())?,
            number: number.parse().map_err(|_| bad())?,
            reign: i64::from_str_radix(reign, 16).map_err(|_| bad())?,
        })
    }
}

/// Who leads. Epochs run one after the other; the holder is random and used once, so that two
/// leaders whom a forgetful database gave the same epoch are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reigning {
    pub epoch: i64,
    pub holder: i64,
}

/// One life of a supervisor: random, 128 bit, without order. Thirty-two hex digits as text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Incarnation {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.chars().take(40).collect());
        u128::from_str_radix(text, 16).map(Incarnation).map_err(|_| bad())
    }
}

impl Serialize for Incarnation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The `seq`-th answer of one life of a supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answer {
    pub incarnation: Incarnation,
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_come_back_from_their_text() {
        for id in [0, 1, 31, 32, i64::MAX, ExecutionId::of_firing(DispatchId(7), 1).0] {
            let text = RunId(id).to_string();
            assert_eq!(text.len(), 13);
            assert_eq!(text.parse::<RunId>().unwrap(), RunId(id));
        }
        for bad in ["", "0", "zzzzzzzzzzzzz", "000000000000i", "00000000000000"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn attempts_come_back_from_their_text() {
        let id = AttemptId { run: RunId(77), job: JobId(3), number: 2, reign: i64::MAX };
        assert_eq!(id.to_string().parse::<AttemptId>().unwrap(), id);
        assert!("x".parse::<AttemptId>().is_err());
    }
}
