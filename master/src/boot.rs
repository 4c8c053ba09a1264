//! The start of a master, step by step, and its stop.
//!
//! The rule: whatever can be wrong is found before anything is changed (configuration, data directory,
//! port), and is one line that says what to do. Called by `cli`.

use crate::app::{App, Parts};
use crate::bus::{Bus, redis::Wire};
use crate::cli::authority;
use crate::config::Config;
use crate::db::{Db, migrate};
use crate::leader::answer::Desk;
use crate::leader::certs::Certs;
use crate::leader::dial::Caller;
use crate::leader::drive::Ports;
use crate::leader::housekeeping::{Housekeeping, Keeper, PLAN};
use crate::leader::ops::Pace;
use crate::leader::status::LeaderStatus;
use crate::lease::{Lease, local, mongo::Mongo};
use crate::link::redis::Redis;
use crate::logs::{Logs, archive::Archive, archived::Archived, on_host::OnHost};
use crate::session::{Limits, Sessions};
use crate::store::edit::Edit;
use crate::store::{certificate, token, user};
use crate::{leader, web};
use anyhow::Context;
use sha2::{Digest, Sha256};
use shared::clock::Clock;
use shared::ids::Millis;
use shared::pki::{RENEW_DAYS, Signed};
use shared::seal::{Key, write_private};
use shared::tasks;
use shared::tls::{Connector, Credentials, Role};
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Requests under way may end for so long; live pages are cut.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// A token that is written into a `client.toml`.
const TOKEN_DAYS: i64 = 365;
const DAY_MS: Millis = 24 * 3_600_000;
/// Whether our own certificate runs out is looked at so often.
const OWN_LOOK: Duration = Duration::from_secs(6 * 3_600);

/// What is written once, at the first start.
#[derive(Clone, Debug, Default)]
pub struct First {
    pub admin_password_file: Option<PathBuf>,
    pub client_file: Option<PathBuf>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What makes it impossible to start.
pub async fn serve(config: Config, first: First) -> anyhow::Result<()> {
    let clock = Clock::system();
    let data = &config.data;
    std::fs::create_dir_all(data)
        .with_context(|| format!("the data directory {} cannot be made", data.display()))?;
    let lock = Arc::new(local::DirLock::take(data)?);
    let listener = listen(&config).await?;
    let address = listener.local_addr().context("the listening address")?;
    let url = match config.web.url.is_empty() {
        true => format!("http://{address}"),
        false => config.web.url.trim_end_matches('/').to_owned(),
    };
    let db = open(&config, &clock).await?;
    let own = credentials(&config, &db, clock.wall_ms()).await?;
    let (mut caller, next) = Caller::exchangeable(&own)?;
    let renewing = renew_own((config.clone(), db.clone(), clock.clone()), next, OWN_LOOK);
    tasks::spawn("own certificate", renewing);
    caller.certs = Some(Arc::new(certs(&config, &db, &clock)?));
    let (status, leader) = watch::channel(LeaderStatus::default());
    let app = assemble(config, &clock, db, (caller, leader)).await?;
    // The frame of every page shows what is known of it. One that is damaged does not keep us from
    // starting: what does not need it can be used, and the leader goes on trying.
    if let Err(error) = app.catalog().await {
        tracing::error!("reading the definitions: {error}");
    }
    greet(&app, &first, address).await?;

    let (stop, stopping) = watch::channel(false);
    tasks::spawn("signals", async move {
        told_to_stop().await;
        stop.send_replace(true);
    });
    tasks::spawn("memory", crate::memory::give_back_when_quiet());
    let keeper = Keeper {
        db: app.db.clone(),
        sessions: app.sessions.clone(),
        logs: app.logs.clone(),
        clock: clock.clone(),
        leader: app.leader.clone(),
    };
    let housekeeping = Housekeeping::start(&keeper, PLAN).await?;
    let ports = Ports {
        desk: Desk {
            db: app.db.clone(),
            bus: app.bus.clone(),
            cluster: app.config.cluster.clone(),
            url: url.clone(),
            definitions: app.definitions.clone(),
        },
        lease: lease(&app.config, &lock, clock).await?,
        clock: app.clock.clone(),
        caller: app.caller.clone(),
        logs: app.logs.clone(),
        pace: Pace { timing: app.config.timing.wire(), ..Pace::default() },
        status,
    };
    tracing::info!("serving {url}, data in {}", app.config.data.display());
    let leading = leader::run::run(ports, stopped(stopping.clone()));
    let serving = answer(listener, web::router(app), stopped(stopping));
    // The leader's end is also the end of what it has in the air; pages are cut sooner.
    let (led, served) = tokio::join!(leading, serving);
    housekeeping.stop().await;
    tracing::info!("stopped");
    drop(lock);
    led.and(served)
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.web.listen;
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "cannot listen on {address}: another program does already; choose another port by \
             web.listen in the configuration, or --port"
        ),
        _ => anyhow::anyhow!("cannot listen on {address} (web.listen): {error}"),
    })
}

/// The database, brought up to date.
///
/// # Errors
/// It cannot be reached, or is newer than this program.
pub(crate) async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Db> {
    let db = Db::open(config.database_target(), clock.clone()).await.context("database.url")?;
    let steps = migrate::run(&db).await.context("bringing the database up to date")?;
    if steps > 0 {
        tracing::info!(steps, "the database is up to date");
    }
    Ok(db)
}

async fn assemble(
    config: Config,
    clock: &Clock,
    db: Db,
    (caller, leader): (Caller, watch::Receiver<LeaderStatus>),
) -> anyhow::Result<App> {
    let seconds = |seconds: u32| Millis::from(seconds) * 1_000;
    let limits = Limits {
        idle_ms: seconds(config.web.session_idle_s),
        age_ms: seconds(config.web.session_max_s),
    };
    let cluster = &config.cluster;
    let sessions = match config.session.url.as_str() {
        "" => Sessions::memory(clock.clone(), limits),
        _ => {
            let redis = Redis::open(config.session.target("session"), cluster).await?;
            Sessions::redis(redis, clock.clone(), limits)
        }
    };
    let bus = match config.bus.url.as_str() {
        "" => Bus::memory(),
        _ => Bus::Redis(Wire::over(Redis::open(config.bus.target("bus"), cluster).await?)?),
    };
    let hosts = OnHost::new(db.clone(), caller.clone(), clock.clone());
    let logs = match config.logs.url.as_str() {
        "" => Logs::OnHost(hosts),
        _ => {
            let archive = Archive::open(config.logs.target("logs"), cluster).await?;
            Logs::Archived(Archived::new(hosts, archive, clock.clone()))
        }
    };
    App::new(Parts { clock: clock.clone(), sessions, bus, logs, config, db, leader, caller })
}

/// The data directory stays locked whatever the lease is: it is one process's.
async fn lease(config: &Config, lock: &Arc<local::DirLock>, clock: Clock) -> anyhow::Result<Lease> {
    Ok(match config.lease.url.as_str() {
        "" => {
            if config.database_url().starts_with("mysql:") {
                tracing::warn!(
                    "lease.url is empty: another master on this database would take the lead from this one again and again"
                );
            }
            Lease::Local(local::Local::new(Arc::clone(lock), clock))
        }
        _ => Lease::Mongo(Mongo::open(config.lease.target("lease"), &config.cluster).await?),
    })
}

/// This master's own certificate: kept in `pki/master`, issued anew in time before it expires.
async fn credentials(config: &Config, db: &Db, now_ms: Millis) -> anyhow::Result<Credentials> {
    let dir = config.data.join("pki/master");
    let authority = authority(config, now_ms)?;
    if dir.join("cert.pem").exists() {
        let own = Credentials::read(&dir)
            .with_context(|| format!("the master's certificate in {}", dir.display()))?;
        let identity = own.identity();
        anyhow::ensure!(
            identity.cluster == config.cluster && identity.role == Role::Master,
            "the certificate in {} is of {identity}; a master of cluster {:?} is expected: move it \
             away, and a new one is issued",
            dir.display(),
            config.cluster
        );
        if own.facts.expires_ms - now_ms > RENEW_DAYS * DAY_MS {
            return Ok(own);
        }
        tracing::info!("the master's certificate expires soon: a new one is issued");
    }
    let issued = authority.issue(Role::Master, "master", now_ms)?;
    // Recorded first: what is used can be denied.
    record(db, &issued.signed).await?;
    issued.write(&dir)?;
    issued.credentials()
}

/// A master that nobody restarts would be refused by every host after 90 days.
async fn renew_own(
    (config, db, clock): (Config, Db, Clock),
    next: watch::Sender<Connector>,
    look: Duration,
) {
    loop {
        tokio::time::sleep(look).await;
        let own = credentials(&config, &db, clock.wall_ms()).await;
        match own.and_then(|own| Connector::new(&own)) {
            Ok(connector) => _ = next.send_replace(connector),
            Err(error) => tracing::error!("this master's certificate: {error:#}; tried again"),
        }
    }
}

/// What the authority has signed is known, so that it can be denied.
///
/// # Errors
/// The database's.
pub(crate) async fn record(db: &Db, signed: &Signed) -> anyhow::Result<()> {
    let kept = certificate::issued(&certificate::Certificate::from(signed));
    db.commit(vec![kept]).await.context("recording the certificate")
}

fn certs(config: &Config, db: &Db, clock: &Clock) -> anyhow::Result<Certs> {
    let authority = authority(config, clock.wall_ms())?;
    let key = Key::read_or_make(&config.data.join("secret.key"))?;
    Ok(Certs::new(authority, key, db.clone(), clock.clone()))
}

/// At the first start: the user `admin`, with a password that is told once. When asked for: a token.
async fn greet(app: &App, first: &First, address: SocketAddr) -> anyhow::Result<()> {
    let edit = Edit::of_system(app.clock.wall_ms());
    if user::count(&app.db).await? == 0 {
        let password = random_text(12)?;
        let hash = web::login::hash_password(app, password.clone()).await?;
        // Told before it is stored: a password that nobody knows is worse than one that is not used.
        match &first.admin_password_file {
            Some(path) => write_private(path, format!("{password}\n").as_bytes())?,
            None => {
                let line = format!("first start: log in as admin with password {password}\n");
                std::io::stdout().write_all(line.as_bytes()).context("telling the password")?;
            }
        }
        user::create(&app.db, "admin", &hash, user::Rights::all(), &edit).await?;
    }
    match &first.client_file {
        Some(path) => write_client(app, path, address, &edit).await,
        None => Ok(()),
    }
}

/// `client.toml`, as it is written and read here.
#[derive(Debug, serde::Deserialize)]
struct ClientFile {
    token: String,
}

/// A token that is in the file and still good is kept: only the address may be another one.
async fn write_client(
    app: &App,
    path: &Path,
    address: SocketAddr,
    edit: &Edit,
) -> anyhow::Result<()> {
    let old = match path.exists() {
        true => shared::config::read::<ClientFile>(path).ok().map(|old| old.token),
        false => None,
    };
    let digest = |token: &str| -> [u8; 32] { Sha256::digest(token.as_bytes()).into() };
    let good = match &old {
        Some(token) => token::user_of(&app.db, &digest(token), edit.at).await?.is_some(),
        None => false,
    };
    let token = match old.filter(|_| good) {
        Some(token) => token,
        None => {
            let (admin, _) = user::password_of(&app.db, "admin")
                .await?
                .context("--client-file: there is no user admin to make a token for")?;
            let token = random_text(32)?;
            let expires = edit.at + TOKEN_DAYS * DAY_MS;
            let name = ("client.toml", &digest(&token)[..]);
            token::create(&app.db, admin, name, expires, edit).await?;
            token
        }
    };
    let text = format!("address = \"http://{address}\"\ntoken = \"{token}\"\n");
    write_private(path, text.as_bytes())
}

/// Letters and digits that are not mistaken for each other; five bits of chance each.
fn random_text(chars: usize) -> anyhow::Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut random = vec![0; chars];
    getrandom::fill(&mut random).context("no random bytes from the system")?;
    Ok(random.iter().map(|byte| ALPHABET[usize::from(byte % 32)] as char).collect())
}

async fn told_to_stop() {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        tracing::error!("signals cannot be heard: this process can only be killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop");
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // The sender gone is a stop too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn answer(
    listener: TcpListener,
    router: axum::Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (draining, drained) = watch::channel(false);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        draining.send_replace(true);
    });
    tokio::select! {
        served = serving.into_future() => served.context("answering requests"),
        () = async {
            stopped(drained).await;
            tokio::time::sleep(DRAIN_MAX).await;
        } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::sql;

    #[tokio::test]
    async fn a_master_has_a_new_certificate_before_the_old_one_ends() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: dir.path().to_owned(), ..Config::default() };
        let clock = Clock::system();
        let db = open(&config, &clock).await.unwrap();
        let now = clock.wall_ms();
        let serial = async |days: i64| {
            let own = credentials(&config, &db, now + days * DAY_MS).await.unwrap();
            own.facts.serial
        };
        let first = serial(0).await;
        assert_eq!(serial(59).await, first);
        assert_ne!(serial(61).await, first);
    }

    fn on_disk(config: &Config) -> String {
        Credentials::read(&config.data.join("pki/master")).unwrap().facts.serial
    }

    #[tokio::test]
    async fn a_certificate_that_cannot_be_recorded_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: dir.path().to_owned(), ..Config::default() };
        let clock = Clock::system();
        let db = open(&config, &clock).await.unwrap();
        let now = clock.wall_ms();
        credentials(&config, &db, now).await.unwrap();
        let first = on_disk(&config);
        let rename =
            |from: &str, to: &str| sql(format!("ALTER TABLE {from} RENAME TO {to}"), vec![]);
        db.commit([rename("certificate", "away")]).await.unwrap();
        credentials(&config, &db, now + 61 * DAY_MS).await.unwrap_err();
        assert_eq!(on_disk(&config), first);
        db.commit([rename("away", "certificate")]).await.unwrap();
        credentials(&config, &db, now + 61 * DAY_MS).await.unwrap();
        assert_ne!(on_disk(&config), first);
        assert!(certificate::good_serial(&db, &on_disk(&config)).await.unwrap());
    }

    #[tokio::test]
    async fn a_master_that_runs_for_months_goes_on_with_a_certificate_that_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: dir.path().to_owned(), ..Config::default() };
        let clock = Clock::set_to(Clock::system().wall_ms());
        let db = open(&config, &clock).await.unwrap();
        let own = credentials(&config, &db, clock.wall_ms()).await.unwrap();
        let (next, mut connector) = watch::channel(Connector::new(&own).unwrap());
        let parts = (config.clone(), db.clone(), clock.clone());
        clock.advance(61 * DAY_MS);
        tasks::spawn("own certificate", renew_own(parts, next, Duration::from_millis(1)));
        connector.changed().await.unwrap();
        assert_ne!(on_disk(&config), own.facts.serial);
        assert!(certificate::good_serial(&db, &on_disk(&config)).await.unwrap());
    }
}
