//! The engine: all decisions, pure. No clock, no I/O, no async, and it cannot fail.
//!
//! Floor 0: it imports `shared` and nothing else of this crate.

pub mod calendar;
pub mod catalog;
pub mod params;
pub mod rows;

pub mod fleet;
pub mod world;

pub use world::World;
pub mod validate;
