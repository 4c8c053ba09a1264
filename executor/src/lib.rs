//! The executor.

pub mod agent;
pub mod supervise;
