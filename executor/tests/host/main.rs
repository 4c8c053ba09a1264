//! The executor as it is: real processes, real SIGKILL, real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod rig;
mod site;

mod agent;
mod browse;
mod carte;
mod cold;
mod jobs;
mod life;
mod limits;
mod output;
mod services;
mod stop;
mod upgrade;
mod users;
mod warm;
