//! Rows in and out: the only place with SQL. One file per aggregate owns all of its SQL.
//!
//! The rule: a store gives [`crate::db::Write`]s or answers from the database; it decides nothing.
//! Run state is written by the leader alone, in batches that begin with [`leader::guard`]; definitions
//! by pages and API, with [`edit`]. Called by `leader`, `web` and the start of the master.

mod codec;
mod read;

pub mod edit;
pub mod sequence;
pub mod version;

pub mod calendar;
pub mod catalog;
pub mod counts;
pub mod dispatch;
pub mod host;
pub mod interface;
pub mod job;
pub mod project;

pub mod command;
pub mod execution;
pub mod explain;
pub mod leader;
pub mod outbox;
pub mod run;
pub mod slice;
pub mod stale;

pub mod audit;
pub mod backfill;
pub mod certificate;
pub mod filter;
pub mod token;
pub mod user;

pub mod home;
pub mod upkeep;
pub mod whereabouts;
