//! MySQL and MariaDB: a pool of connections, a transaction for each batch.
//!
//! The rule: what broke before COMMIT was sent has written nothing ([`Error::Retry`]), what broke at it
//! may have ([`Error::UnknownOutcome`]). The identity of the server is asked by the very statement that
//! needs it (rule L3): a proxy may lead the next one to another server.

mod bulk;
mod fault;
mod values;

use super::bulk::check;
use super::error::{Error, Result};
use super::migrate::{self, Step};
use super::{Batch, Limits, Row, Value, params};
use fault::fault;
use mysql_async::prelude::Queryable;
use mysql_async::{
    Conn, DriverError, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, SslOpts, Transaction,
    TxOpts,
};
use shared::address::Target;
use shared::ids::Millis;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::RwLock;
use tokio::time::timeout;

/// Connections of one process; then its callers wait.
const CONNECTIONS_MAX: usize = 24;
/// Prepared statements kept by each connection.
const STATEMENTS_KEPT: usize = 256;
/// One that is idle for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A batch that a deadlock has undone is tried again so often: nothing of it was written.
const TRIES_MAX: usize = 5;
/// Another master's migration is waited for.
const MIGRATION_WAIT_S: u32 = 120;

#[derive(Clone, Debug)]
pub struct Mysql(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Pool,
    flavor: Flavor,
    limits: Limits,
    /// A locking read comes after every commit that this process has begun before it: their locks may
    /// not have been taken yet.
    order: RwLock<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavor {
    Mysql,
    Mariadb,
}

impl Flavor {
    /// The identity of the server that executes the statement.
    fn server(self) -> &'static str {
        match self {
            Flavor::Mysql => "@@server_uuid",
            Flavor::Mariadb => "@@server_uid",
        }
    }

    /// Said once on each connection.
    fn init(self, limits: Limits) -> Vec<String> {
        let limit = match self {
            Flavor::Mysql => {
                format!("SET SESSION max_execution_time = {}", limits.query_timeout.as_millis())
            }
            Flavor::Mariadb => {
                format!("SET SESSION max_statement_time = {}", limits.query_timeout.as_secs_f64())
            }
        };
        let lock = limits.query_timeout.as_secs().max(1);
        vec![
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".into(),
            format!("SET SESSION innodb_lock_wait_timeout = {lock}"),
            limit,
        ]
    }
}

/// `mysql://user:password@host:port/database` without the password.
fn shown(opts: &Opts) -> String {
    let name = opts.db_name().unwrap_or_default();
    format!("mysql://{}:{}/{name}", opts.ip_or_hostname(), opts.tcp_port())
}

/// With its authorities, if it has any of its own.
fn opts(target: &Target) -> Result<Opts> {
    let opts = Opts::from_url(&target.url).map_err(|error| {
        let form = "mysql://USER:PASSWORD@HOST:PORT/DATABASE is expected";
        Error::Fatal(format!("this is no address of a database: {error}: {form}"))
    })?;
    let authorities = target.authorities().map_err(|error| Error::Fatal(format!("{error:#}")))?;
    let Some(pem) = authorities else { return Ok(opts) };
    let tls =
        SslOpts::default().with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true);
    // A socket file would be found by itself, and has no certificate.
    Ok(OptsBuilder::from_opts(opts).ssl_opts(tls).prefer_socket(false).into())
}

/// MySQL does not tell which users it has: one that it does not know is asked for any plug-in.
fn no_entry(error: &mysql_async::Error, target: &Target, opts: &Opts) -> String {
    let mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) = error else {
        return target.told(&error.to_string());
    };
    let user = opts.user().unwrap_or_default();
    format!(
        "user {user:?} may not enter: it is not known there, or logs in by {name}; \
         caching_sha2_password and mysql_native_password are understood here"
    )
}

/// It could be entered at the start: what keeps us out now may pass.
fn in_reach(error: &mysql_async::Error) -> Error {
    match fault(error) {
        Error::Fatal(why) => Error::Retry(why),
        other => other,
    }
}

impl Mysql {
    /// Connects once, so that what is wrong is said at the start.
    ///
    /// # Errors
    /// The address is none, nobody answers there, another one does, or the user may not enter.
    pub async fn open(target: &Target, limits: Limits) -> Result<Mysql> {
        let opts = opts(target)?;
        if opts.db_name().is_none_or(str::is_empty) {
            let at = shown(&opts);
            return Err(Error::Fatal(format!("{at} names no database: add its name at the end")));
        }
        let at = shown(&opts);
        let wrong = |why: String| Error::Fatal(format!("cannot use the database {at}: {why}"));
        let first = timeout(CONNECT_MAX, Conn::new(opts.clone())).await;
        let mut first = match first {
            Ok(connected) => connected.map_err(|error| wrong(no_entry(&error, target, &opts)))?,
            Err(_) => return Err(wrong("no answer in time".into())),
        };
        let version: Option<String> =
            first.query_first("SELECT VERSION()").await.map_err(|error| fault(&error))?;
        let version = version.unwrap_or_default();
        let flavor = match version.to_lowercase().contains("mariadb") {
            true => Flavor::Mariadb,
            false => Flavor::Mysql,
        };
        let known: Option<String> = first
            .query_first(format!("SELECT {}", flavor.server()))
            .await
            .map_err(|error| wrong(format!("{version} does not tell its identity: {error}")))?;
        if known.is_none_or(|id| id.is_empty()) {
            return Err(wrong(format!("{version} has no identity ({})", flavor.server())));
        }
        let _ = first.disconnect().await; // it has told what it was asked
        let pool = PoolOpts::default()
            .with_constraints(PoolConstraints::new(1, CONNECTIONS_MAX).unwrap_or_default())
            .with_inactive_connection_ttl(IDLE_MAX)
            .with_reset_connection(false);
        let opts = OptsBuilder::from_opts(opts)
            .client_found_rows(true)
            .stmt_cache_size(STATEMENTS_KEPT)
            .init(flavor.init(limits))
            .pool_opts(pool);
        let order = RwLock::new(());
        Ok(Mysql(Arc::new(Inner { pool: Pool::new(opts), flavor, limits, order })))
    }

    async fn connection(&self) -> Result<Conn> {
        match timeout(CONNECT_MAX, self.0.pool.get_conn()).await {
            Ok(connected) => connected.map_err(|error| in_reach(&error)),
            Err(_) => Err(Error::Retry("no connection in time".into())),
        }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match timeout(self.0.limits.query_timeout, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::Retry("no answer in time".into())),
        }
    }

    pub(super) async fn query(
        &self,
        sql: Cow<'static, str>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        self.within(async {
            let mut connection = self.connection().await?;
            self.select(&mut connection, &sql, params).await
        })
        .await
    }

    async fn select(
        &self,
        on: &mut impl Queryable,
        sql: &str,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let (sql, params) = values::bind(sql, params, self.0.flavor.server());
        values::rows(on, &sql, params, self.0.limits.rows_max).await
    }

    pub(super) async fn query_locking(
        &self,
        sql: Cow<'static, str>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        self.within(async {
            let _after_commits = self.0.order.write().await;
            let mut transaction = self.transaction().await?;
            let sql = format!("{sql} FOR UPDATE");
            let rows = self.select(&mut transaction, &sql, params).await?;
            transaction.rollback().await.map_err(|error| fault(&error))?;
            Ok(rows)
        })
        .await
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        check(&batch)?;
        let _before_locking_reads = self.0.order.read().await;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.commit_once(&batch).await {
                Err(fault::Undone::Deadlock(_)) if tries < TRIES_MAX => {}
                Err(fault::Undone::Deadlock(why)) => return Err(Error::Retry(why)),
                Err(fault::Undone::Error(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// The driver's own transaction: one that is dropped, wherever it was, is undone before its
    /// connection is used again.
    async fn commit_once(&self, batch: &Batch) -> std::result::Result<(), fault::Undone> {
        let write = async {
            let mut transaction = self.transaction().await?;
            match bulk::write_all(&mut transaction, batch, self.0.flavor.server()).await {
                Ok(()) => Ok(transaction),
                Err(error) => {
                    let _ = transaction.rollback().await; // if not by this, with its connection
                    Err(self.name_columns(error).await)
                }
            }
        };
        let limit = self.0.limits.commit_timeout;
        let transaction = match timeout(limit, write).await {
            Ok(written) => written?,
            Err(_) => return Err(Error::Retry("no answer in time".into()).into()),
        };
        match timeout(limit, transaction.commit()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(fault::at_commit(&error)),
            Err(_) => Err(Error::UnknownOutcome("no answer in time".into()).into()),
        }
    }

    async fn transaction(&self) -> Result<Transaction<'static>> {
        let begun = self.0.pool.start_transaction(TxOpts::default());
        match timeout(CONNECT_MAX, begun).await {
            Ok(begun) => begun.map_err(|error| in_reach(&error)),
            Err(_) => Err(Error::Retry("no connection in time".into())),
        }
    }

    async fn name_columns(&self, error: Error) -> Error {
        match self.connection().await {
            Ok(mut connection) => fault::name_columns(&mut connection, error).await,
            Err(_) => error,
        }
    }

    /// One process at a time, by a lock of the server. A statement of DDL commits by itself, so each one
    /// is recorded: a migration that was killed goes on where it stopped.
    pub(super) async fn migrate(&self, steps: Vec<Step>) -> Result<u32> {
        let mut connection = self.connection().await?;
        let got: Option<i64> = connection
            .query_first(format!("SELECT GET_LOCK('hcndc schema', {MIGRATION_WAIT_S})"))
            .await
            .map_err(|error| fault(&error))?;
        if got != Some(1) {
            return Err(Error::Retry("another master is changing the schema".into()));
        }
        let done = self.migrate_locked(&mut connection, steps).await;
        let _ = connection.query_drop("DO RELEASE_LOCK('hcndc schema')").await; // it ends with the connection too
        done
    }

    async fn migrate_locked(&self, connection: &mut Conn, steps: Vec<Step>) -> Result<u32> {
        for table in [migrate::TABLE, migrate::PROGRESS] {
            connection.query_drop(table).await.map_err(|error| fault(&error))?;
        }
        let applied = self.select(connection, migrate::APPLIED, vec![]).await?;
        let applied = migrate::applied(&applied)?;
        let mut count = 0;
        for step in migrate::missing(&applied, steps)? {
            self.run_step(connection, &step).await?;
            let (now, server) = (self.date(connection).await?, self.0.flavor.server());
            let record = params![step.version, step.name, step.checksum(), now];
            let (sql, values) = values::bind(migrate::RECORD, record, server);
            connection.exec_drop(sql.as_ref(), values).await.map_err(|error| fault(&error))?;
            count += 1;
        }
        Ok(count)
    }

    async fn run_step(&self, connection: &mut Conn, step: &Step) -> Result<()> {
        let begun = self.select(connection, migrate::BEGUN, params![step.version]).await?;
        let done = begun.first().map(|row| row.int("statements")).transpose()?;
        let skip = usize::try_from(done.unwrap_or(0)).unwrap_or(0);
        for (at, statement) in step.statements().enumerate().skip(skip) {
            let again = done.is_some() && at == skip;
            match connection.query_drop(statement).await {
                Ok(()) => {}
                // It was killed after this statement and before that was recorded.
                Err(error) if again && fault::is_there_already(&error) => {}
                Err(error) => {
                    return Err(Error::Fatal(format!("step {} of the schema: {error}", step.name)));
                }
            }
            let progress = format!(
                "REPLACE INTO schema_progress (version, statements) VALUES ({}, {})",
                step.version,
                at + 1
            );
            connection.query_drop(progress).await.map_err(|error| fault(&error))?;
        }
        Ok(())
    }

    async fn date(&self, connection: &mut Conn) -> Result<Millis> {
        let sql = "SELECT CAST(ROUND(UNIX_TIMESTAMP(SYSDATE(3)) * 1000) AS SIGNED)";
        let date: Option<i64> = connection.query_first(sql).await.map_err(|error| fault(&error))?;
        date.ok_or_else(|| Error::Fatal("the database does not know the date".into()))
    }

    pub(super) async fn server(&self) -> Result<String> {
        let rows = self.query("SELECT ? AS server".into(), vec![Value::Server]).await?;
        let row = rows.first().ok_or_else(|| Error::Fatal("the server has no identity".into()))?;
        Ok(row.text("server")?.to_owned())
    }

    pub(super) async fn now_ms(&self) -> Result<Millis> {
        self.within(async {
            let mut connection = self.connection().await?;
            self.date(&mut connection).await
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_mysql_does_not_know_is_named_whatever_plug_in_it_asks_for() {
        let target = Target::plain("database", "mysql://nobody:geheim@h/hcndc");
        let asked = DriverError::UnknownAuthPlugin { name: "sha256_password".into() };
        let told = no_entry(&asked.into(), &target, &opts(&target).unwrap());
        assert!(told.starts_with("user \"nobody\" may not enter") && !told.contains("geheim"));
    }
}
