//! Stores that speak TLS alone: they are used if an authority of ours has signed their certificate, and
//! refused in one line, without the password, if it has not.

use crate::own::Kind;
use crate::own_tls::{Authority, DATABASE, initiate};
use master::db::{Db, migrate, params};
use master::lease::{Lease, mongo::Mongo};
use master::link::redis::Redis;
use shared::address::Target;
use shared::clock::Clock;
use std::path::Path;
use std::time::Duration;

/// Opened with the right authority it works; whatever else is told, in these words. `url` takes what
/// stands before the host, and the port.
async fn believed(
    key: &str,
    url: impl Fn(&str, u16) -> String,
    kind: Kind,
    open: impl AsyncFn(Target) -> anyhow::Result<()>,
) {
    let (ours, theirs) = (Authority::make("stores"), Authority::make("stores"));
    let (right, other) = (ours.serve(kind, "127.0.0.1"), ours.serve(kind, "elsewhere.example"));
    open(Target::new(key, &url("", right.port), &ours.file())).await.unwrap();
    let refused = async |port: u16, ca: &Path, words: &str| {
        let told = open(Target::new(key, &url(":geheim", port), ca)).await.unwrap_err();
        let told = format!("{told:#}");
        assert!(told.contains(words), "{words}: {told}");
        assert!(!told.contains('\n') && !told.contains("geheim"), "{told}");
    };
    let stranger = format!("no authority in {} ({key}.ca) has signed it", theirs.file().display());
    refused(right.port, &theirs.file(), &stranger).await;
    refused(other.port, &ours.file(), "only valid for DnsName(\"elsewhere.example\")").await;
    refused(right.port, Path::new("/nowhere/ca.pem"), &format!("{key}.ca: /nowhere/ca.pem")).await;
}

#[tokio::test]
async fn a_database_is_believed_by_its_certificate() {
    let url = |secret: &str, port| format!("mysql://root{secret}@127.0.0.1:{port}/mysql");
    believed("database", url, Kind::Mariadb, async |target| {
        let db = Db::open(target, Clock::system()).await?;
        let text = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
        let row = db.first(text, params![]).await?.expect("it counts that");
        assert!(!row.text("Value")?.is_empty(), "not by TLS");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_database_by_tls_is_a_database() {
    let ours = Authority::make("stores");
    let server = ours.serve(Kind::Mariadb, "127.0.0.1");
    let url = format!("mysql://root@127.0.0.1:{}/{DATABASE}", server.port);
    let target = Target::new("database", &url, &ours.file());
    let db = Db::open(target, Clock::system()).await.unwrap();
    assert_eq!(migrate::run(&db).await.unwrap() as usize, migrate::steps().len());
    Db::open(Target::plain("database", &url), Clock::system())
        .await
        .expect_err("it takes nobody without TLS");
}

#[tokio::test]
async fn sessions_are_believed_by_their_certificate() {
    let url = |secret: &str, port| match secret {
        "" => format!("rediss://127.0.0.1:{port}"),
        _ => format!("rediss://me{secret}@127.0.0.1:{port}"),
    };
    believed("session", url, Kind::Redis, async |target| {
        let redis = Redis::open(target, "c").await?;
        redis.ask::<()>(&redis::cmd("PING")).await?;
        let _ = redis.subscribe("channel").await?; // a connection of its own
        Ok(())
    })
    .await;
    let ours = Authority::make("stores");
    let plain = Target::new("bus", "redis://:geheim@127.0.0.1:9", &ours.file());
    let told = Redis::open(plain, "c").await.unwrap_err().to_string();
    assert_eq!(told, "bus.url: with bus.ca the address begins with rediss://");
}

#[tokio::test]
async fn the_lease_is_believed_by_its_certificate() {
    let url = |secret: &str, port| match secret {
        "" => format!("mongodb://127.0.0.1:{port}/?directConnection=true"),
        _ => format!("mongodb://me{secret}@127.0.0.1:{port}/?directConnection=true"),
    };
    believed("lease", url, Kind::Mongod, async |target| {
        let mongo = Mongo::open(target.clone(), "c").await?;
        let port = target.url.split(['/', ':']).nth(4).expect("a port").parse()?;
        initiate(port, &target.ca).await;
        let lease = Lease::Mongo(mongo);
        crate::server::until("the lease is held", async || {
            lease.try_hold("one", Duration::from_secs(3)).await.ok().filter(|held| *held)
        })
        .await;
        assert_eq!(lease.try_hold("two", Duration::from_secs(3)).await, Ok(false));
        Ok(())
    })
    .await;
}
