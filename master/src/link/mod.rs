//! Servers outside that the adapters of several ports talk to: one connection, one deadline, one
//! way to say that it is away. Called by the adapters of `session` and `bus`.
//! (MongoDB's is in `shared`: hosts write there too.)

pub mod redis;

/// The server did not answer, or not within the deadline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {why}")]
pub struct Away {
    /// Its address, without name and password.
    pub server: String,
    pub why: String,
}
