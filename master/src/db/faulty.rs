//! A database behind a link that breaks when a test says so. It never is in a configuration.
//!
//! What it injects is what a real link does and no test can otherwise order at will: an answer lost
//! after the commit, a batch lost before it, a server that is away, another server after a failover.

use super::bulk::statements;
use super::migrate::Step;
use super::{Batch, Db, Error, Result, Row, Value, Write};
use shared::ids::Millis;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next commit is stored, and its answer is lost.
    AnswerLost,
    /// The next commit never arrives, and nobody can tell.
    BatchLost,
    /// The next call finds nobody.
    Away,
}

#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Db,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    server: Arc<Mutex<Option<String>>>,
    read: Arc<AtomicUsize>,
    statements: Arc<AtomicUsize>,
}

impl Faulty {
    pub fn new(inner: Db) -> Faulty {
        Faulty {
            inner,
            faults: Arc::default(),
            server: Arc::default(),
            read: Arc::default(),
            statements: Arc::default(),
        }
    }

    /// The port as the others see it; this handle still breaks it.
    pub fn db(&self) -> Db {
        Db::Faulty(Box::new(self.clone()))
    }

    /// Faults happen in the order in which they were asked for.
    pub fn inject(&self, fault: Fault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Rows that queries have answered so far.
    pub fn rows_read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// Statements that queries and commits were so far.
    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }

    fn count(&self, statements: usize) {
        self.statements.fetch_add(statements, Ordering::Relaxed);
    }

    /// Another server answers from now on.
    pub fn fail_over(&self, server: &str) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.to_owned());
    }

    fn name(&self, params: &mut [Value]) {
        let other = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(other) = other else { return };
        for value in params.iter_mut().filter(|value| **value == Value::Server) {
            *value = Value::Text(other.clone());
        }
    }

    fn take(&self, wanted: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.front().is_some_and(|&fault| wanted(fault)) { faults.pop_front() } else { None }
    }

    fn reach(&self) -> Result<()> {
        match self.take(|fault| fault == Fault::Away) {
            Some(_) => Err(Error::Retry("nobody answers".into())),
            None => Ok(()),
        }
    }

    pub(super) async fn query(
        &self,
        sql: Cow<'static, str>,
        mut params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        self.reach()?;
        self.name(&mut params);
        self.count(1);
        let rows = self.inner.query(sql, params).await?;
        self.read.fetch_add(rows.len(), Ordering::Relaxed);
        Ok(rows)
    }

    pub(super) async fn query_locking(
        &self,
        sql: Cow<'static, str>,
        mut params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        self.reach()?;
        self.name(&mut params);
        self.count(1);
        self.inner.query_locking(sql, params).await
    }

    pub(super) async fn commit(&self, mut batch: Batch) -> Result<()> {
        self.reach()?;
        self.count(batch.iter().map(statements).sum());
        for write in &mut batch {
            if let Write::Sql { params, .. } = write {
                self.name(params);
            }
        }
        let lost = || Err(Error::UnknownOutcome("the link broke at the commit".into()));
        match self.take(|_| true) {
            Some(Fault::BatchLost) => lost(),
            Some(Fault::AnswerLost) => {
                self.inner.commit(batch).await?;
                lost()
            }
            Some(Fault::Away) | None => self.inner.commit(batch).await,
        }
    }

    pub(super) async fn migrate(&self, steps: Vec<Step>) -> Result<u32> {
        self.reach()?;
        self.inner.migrate(steps).await
    }

    pub(super) async fn upkeep(&self) -> Result<()> {
        self.inner.upkeep().await
    }

    pub(super) async fn server(&self) -> Result<String> {
        self.reach()?;
        let other = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match other {
            Some(server) => Ok(server),
            None => self.inner.server().await,
        }
    }

    pub(super) async fn now_ms(&self) -> Result<Millis> {
        self.reach()?;
        self.inner.now_ms().await
    }
}
