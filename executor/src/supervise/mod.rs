//! The supervisor: the small process that owns the children of one host.

pub mod attempts;
pub mod talk;
