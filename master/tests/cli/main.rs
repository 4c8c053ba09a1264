//! The command line against the real programs: one master, one executor, a temporary folder.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod boot;
mod freeze;
mod outcomes;
mod rig;
mod sample;
mod versions;
