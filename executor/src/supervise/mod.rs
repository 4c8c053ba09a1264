//! The supervisor: the small process that owns the children of one host.
//!
//! [`attempts`] decides (pure), everything else obeys. One loop ([`host`]) waits for the socket, for
//! signals and for its own threads; after whatever has happened it writes the journal, does what
//! [`attempts`] says and answers who waits. No TLS, no database, no task runtime.
//! Reading order: [`begin`], [`host`], [`children`], [`ending`], [`spawner`], [`growth`], [`strays`], [`socket`],
//! [`reexec`].

pub mod attempts;
pub mod talk;

mod answers;
mod begin;
pub mod children;
pub mod ending;
pub mod growth;
mod host;
pub mod keeper;
mod memory;
pub mod outlet;
pub mod record;
mod reexec;
pub mod signals;
pub mod socket;
pub mod spawner;
pub mod strays;

pub use begin::{Called, rehearse, supervise};
