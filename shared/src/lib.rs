//! The contract between master and executor: what things are called, what is sent, what a job is.
//!
//! Neither side imports the other; both import this. Reading order: [`ids`], [`calendar`], [`period`], [`spec`],
//! [`wire`], [`chunk`], [`kind`], [`etl`], [`rpc`]; below them what both sides need of the world: [`clock`], [`tasks`],
//! [`config`], [`logs`].

pub mod calendar;
pub mod chunk;
pub mod ids;
pub mod period;
pub mod spec;
pub mod wire;

pub mod etl;
pub mod external;
pub mod kind;

pub mod codec;
pub mod join;
pub mod pki;
pub mod rpc;
pub mod seal;
pub mod secret;
pub mod tls;

pub mod address;
pub mod clock;
pub mod config;
pub mod crash;
pub mod logs;
pub mod mongo;
pub mod sabotage;
pub mod tasks;
