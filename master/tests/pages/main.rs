//! Pages and API through the router, without a socket.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(unreachable_pub, reason = "one crate: what its tests share")]

mod app;
mod apply;

mod access;
mod api;
mod backfill;
mod browse;
mod calendar;
mod days;
mod definitions;
mod execution;
mod executions;
mod filters;
mod freeze;
mod hosts;
mod lead;
mod many;
mod projects;
mod scripts;
mod stale;
mod texts;
mod versions;
mod why;
mod zones;
