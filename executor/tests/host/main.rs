//! The executor as it is: real processes, real SIGKILL, real files.

mod rig;

mod agent;
mod jobs;
mod life;
mod output;
mod stop;
