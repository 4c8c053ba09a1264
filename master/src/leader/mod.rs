//! The leader: it asks for the lease, claims the lead in the database, and drives runs on hosts.
//!
//! The core is pure: [`master::Master::step`] takes an [`ops::Input`] and answers with
//! [`ops::Output`]s, of which the async shell executes each on a real port and brings the answer
//! back. The simulation (`tests/sim`) does the same with ports that break.

pub mod line;
pub mod master;
pub mod ops;
pub mod reign;

pub mod run;

pub mod answer;
pub mod away;
pub mod certs;
pub(crate) mod counts;
pub mod dial;
pub mod drive;
pub mod hosts;
pub mod housekeeping;
pub mod lines;
pub mod status;
pub mod work;
