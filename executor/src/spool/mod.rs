//! What the executor keeps on its disk, under the data directory of [`crate::config::Config`].
//!
//! ```text
//! supervisor.lock agent.lock     who lives here: a lock, and the pid in it
//! supervisor.sock                where the agent finds the supervisor
//! journal/N.log                  attempts, appended (journal.rs)
//! out/XX/ATTEMPT.{out,err}       the output, as the bytes are; .marks .hole (output.rs)
//! out/XX/ATTEMPT.sent            what of it is cut into chunks and stored elsewhere (plan.rs, chunks.rs)
//! work/ATTEMPT/                  working directory of jobs that name none (scratch.rs)
//! ```

pub mod chunks;
pub mod journal;
pub mod layout;
pub mod output;
pub mod plan;
pub mod scratch;

pub use layout::{Layout, Lock};
