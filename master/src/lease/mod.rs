//! Who may *try* to lead (rule L1): a port.
//!
//! The rule: the lease deposes nobody and decides nothing; the epoch in the database does. It only
//! keeps masters from claiming that row from each other all day. Called by the leader's shell.

pub mod local;
pub mod mongo;

use std::time::Duration;

/// Why the lease cannot be asked; whoever leads goes on leading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease cannot be asked: {0}")]
pub struct Away(pub String);

/// One lease, one holder at a time.
#[derive(Clone, Debug)]
pub enum Lease {
    /// Embedded: whoever has the data directory.
    Local(local::Local),
    Mongo(mongo::Mongo),
}

impl Lease {
    /// Takes it if it is free or run out, keeps it if it is this holder's. True: it is held for `ttl`
    /// from now on. `holder` is random for each life of a process.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn try_hold(&self, holder: &str, ttl: Duration) -> Result<bool, Away> {
        match self {
            Lease::Local(lease) => Ok(lease.try_hold(holder, ttl)),
            Lease::Mongo(lease) => lease.try_hold(holder, ttl).await,
        }
    }

    /// At an orderly stop: the next one need not wait for the time to run out.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn release(&self, holder: &str) -> Result<(), Away> {
        match self {
            Lease::Local(lease) => {
                lease.release(holder);
                Ok(())
            }
            Lease::Mongo(lease) => lease.release(holder).await,
        }
    }
}
