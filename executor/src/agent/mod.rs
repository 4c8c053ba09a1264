//! The part that talks: it may die and be started again at any time, while jobs run.

pub mod server;
