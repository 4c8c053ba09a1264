//! The executor of one host: two processes, so that the one which talks may die while jobs run.
//!
//! [`supervise`] owns the children: small, no TLS, no database. [`agent`] talks to the master and
//! may be restarted at any time. [`run`] starts both and starts again what dies. Below them:
//! [`process`] (the only place that starts and ends programs), [`spool`] (what is on the disk),
//! [`environment`] (what jobs may ask for by name), `install` (what Kettle and Hop are made of), [`etl`] (what stands before Kettle and Hop), [`external`] (who looks on at what lives elsewhere),
//! [`services`] (what a host keeps running beside its jobs), [`warm`] (a JVM that attempts are lent), [`cold`] (what helps those that are not), [`repository`] (copies of what Kettle keeps in a database), [`clock`] and [`config`].

pub mod config;
pub mod join;
pub mod run;

pub mod agent;
pub mod services;
pub mod supervise;
pub mod warm;

pub mod cold;

pub mod environment;
pub mod etl;
pub mod external;
mod install;
pub mod process;
pub mod repository;
pub mod spool;

pub mod clock;
