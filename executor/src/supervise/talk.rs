//! What agent and supervisor say to each other over `supervisor.sock`.
//!
//! A frame is its length (four bytes, big endian) and MessagePack with names, so that an agent and
//! a supervisor of different versions understand each other. Spoken by [`crate::agent::link`], by
//! [`crate::run`] and by the supervisor's loop.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::ids::{AttemptId, Incarnation, Millis};
use shared::wire::{OrderCall, Refused, WatchAnswer, WatchCall};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// In bytes: above what a frame of the outer wire can hold, with its wrapping.
pub const MESSAGE_MAX: usize = 1024 * 1024;
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The new program is rehearsed first, and what is being started is waited for.
const UPGRADE_MAX: Duration = Duration::from_secs(30);

/// One question; its answer carries the same id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Framed<T> {
    pub id: u64,
    pub body: T,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    Order(OrderCall),
    Watch(WatchCall),
    Status,
    /// Whether anything of it may still be alive.
    IsRunning(AttemptId),
    /// Whose output has grown since what has been heard: (life, seq) of the last answer.
    Outputs {
        life: Incarnation,
        after: u64,
    },
    /// Take back a wish to end: somebody needs the supervisor again.
    Stay,
    /// Become the program that is installed now; answered when that is done, or has failed.
    Upgrade,
    /// End all jobs, then yourself. Their ends are not recorded: they are `unknown` afterwards.
    StopJobs {
        grace_ms: Millis,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    Order(Result<(), Refused>),
    Watch(Result<Box<WatchAnswer>, Refused>),
    Status(Status),
    IsRunning(bool),
    Outputs(Outputs),
    /// As it is after the upgrade, or why it goes on as it was.
    Upgrade(Result<Status, String>),
    Done,
}

/// How much one attempt has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grown {
    pub attempt: AttemptId,
    pub out: u64,
    pub err: u64,
    /// Nothing of it lives any more.
    pub ended: bool,
}

/// For the agent that ships.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its configuration says that output is shipped: only then what it does not list has ended.
    #[serde(default)]
    pub ships: bool,
    /// Another one than before: what has ended meanwhile was not told.
    pub life: Incarnation,
    pub seq: u64,
    pub listed: Vec<Grown>,
    /// Ask again at once.
    pub more: bool,
    /// Ends were dropped unheard: the disk knows them.
    pub missed: bool,
}

/// How the supervisor is, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub pid: u32,
    pub incarnation: Incarnation,
    /// The host's wall clock when this life began.
    pub since_ms: Millis,
    pub running: u32,
    pub version: String,
}

/// A whole frame, ready to be written.
///
/// # Errors
/// It is larger than [`MESSAGE_MAX`].
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    rmp_serde::encode::write_named(&mut bytes, message).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > MESSAGE_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes is too long")));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// # Errors
/// The bytes are no such message.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    rmp_serde::from_slice(body).map_err(io::Error::other)
}

/// Takes the first whole frame out of `buffer`, without its length.
///
/// # Errors
/// The length is beyond [`MESSAGE_MAX`]: whoever speaks does not speak our language.
pub fn take_frame(buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(head) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head) as usize;
    if length > MESSAGE_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes is announced")));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let rest = buffer.split_off(4 + length);
    let mut frame = std::mem::replace(buffer, rest);
    frame.drain(..4);
    Ok(Some(frame))
}

/// One question, asked and waited for: `run` and people have no more.
///
/// # Errors
/// Nobody listens there, or no answer comes within five seconds (thirty for an upgrade).
pub fn call(socket: &Path, body: Ask) -> io::Result<Told> {
    let mut stream = UnixStream::connect(socket)?;
    let max = if matches!(body, Ask::Upgrade) { UPGRADE_MAX } else { ANSWER_MAX };
    stream.set_read_timeout(Some(max))?;
    stream.write_all(&encode(&Framed { id: 0, body })?)?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(frame) = take_frame(&mut received)? {
            return decode::<Framed<Told>>(&frame).map(|framed| framed.body);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let one = encode(&Framed { id: 1, body: Ask::Status }).unwrap();
        let two = encode(&Framed { id: 2, body: Ask::Stay }).unwrap();
        let all: Vec<u8> = [one, two].concat();
        for cut in 0..all.len() {
            let mut buffer = all[..cut].to_vec();
            let mut ids = Vec::new();
            for part in [&[][..], &all[cut..]] {
                buffer.extend_from_slice(part);
                while let Some(frame) = take_frame(&mut buffer).unwrap() {
                    ids.push(decode::<Framed<Ask>>(&frame).unwrap().id);
                }
            }
            assert_eq!(ids, [1, 2], "cut at {cut}");
        }
        assert!(take_frame(&mut vec![0xff; 8]).is_err());
    }
}
