//! The executor.

pub mod supervise;
