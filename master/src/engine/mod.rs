//! The engine: all decisions, pure. No clock, no I/O, no async, and it cannot fail.
//!
//! Floor 0: it imports `shared` and nothing else of this crate. Reading order: definitions and rows;
//! the World and what it keeps; what happens to runs and jobs; time, hosts, people; and why all of it.

pub mod backfill;
pub mod blackout;
pub mod calendar;
pub mod catalog;
mod command;
pub mod params;
pub mod quiet;
pub mod reason;
pub mod rows;
pub mod validate;

pub mod world;

mod dag;
mod index;
mod mesh;
mod slice;
mod table;

mod execution;
mod expand;
mod job;
mod part;
mod run;
mod stale;
mod wait;

mod fire;
pub mod fleet;
mod orders;
mod overlap;
mod place;
mod prepare;
mod queue;
mod time;
mod verbs;

pub mod explain;

pub use execution::word;
pub use table::Table;
pub use world::World;

#[cfg(test)]
mod tests;
