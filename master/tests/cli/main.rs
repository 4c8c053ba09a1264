//! The command line against the real programs: one master, one executor, a temporary folder.

mod boot;
mod outcomes;
mod rig;
mod sample;
