//! The master: pages and API, definitions and schedules, the engine, the leader.
//!
//! Floors, each importing only what is below it: [`engine`] (pure decisions); `db`, `lease`,
//! `session`, `bus` (ports; `link` is what their adapters share); `store` (rows in and out);
//! `leader` (lead, fire, drive, commit); `web` and `app` (pages, API, start).

pub mod engine;

pub mod bus;
pub mod db;
pub mod lease;
pub mod link;
pub mod session;

pub mod store;

pub mod leader;
pub mod logs;

pub mod app;
pub mod config;
pub mod web;

pub mod boot;
pub mod cli;
pub mod client;
pub mod memory;
