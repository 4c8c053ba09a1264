//! The lease in MongoDB: the same suite, by the server's clock.

use crate::lease::{race, suite};
use crate::server::{cluster, free_port, until, url};
use master::lease::{Lease, mongo::Mongo};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use shared::address::Target;
use std::net::TcpListener;
use std::time::Duration;

const VARIABLE: &str = "HCNDC_TEST_MONGO";

async fn lease(cluster: &str) -> Lease {
    Lease::Mongo(Mongo::open(Target::plain("lease", &url(VARIABLE)), cluster).await.unwrap())
}

async fn documents() -> Collection<Document> {
    let client = Client::with_uri_str(url(VARIABLE)).await.unwrap();
    client.database("hcndc").collection("lease")
}

/// So much time has passed for the lease: its end comes nearer by as much.
async fn bring_nearer(leases: &Collection<Document>, cluster: &str, by_ms: i64) {
    let nearer = vec![doc! { "$set": { "until": { "$subtract": ["$until", by_ms] } } }];
    leases.update_one(doc! { "_id": cluster }, nearer).await.unwrap();
}

#[tokio::test]
async fn a_lease_has_one_holder_by_the_servers_time() {
    let cluster = cluster();
    let leases = documents().await;
    suite(lease(&cluster).await, async |by| bring_nearer(&leases, &cluster, by).await).await;
}

#[tokio::test]
async fn of_many_that_race_one_wins() {
    let cluster = cluster();
    let mut leases = Vec::new();
    for _ in 0..6 {
        leases.push(lease(&cluster).await);
    }
    race(&leases).await;
}

#[tokio::test]
async fn clusters_do_not_meet() {
    let (one, two) = (lease(&cluster()).await, lease(&cluster()).await);
    let ttl = Duration::from_secs(300);
    assert!(one.try_hold("one", ttl).await.unwrap());
    assert!(two.try_hold("two", ttl).await.unwrap());
    one.release("one").await.unwrap();
    two.release("two").await.unwrap();
}

/// A name that looks like a field's or an operator's is a name.
#[tokio::test]
async fn a_holder_is_only_a_name() {
    let lease = lease(&cluster()).await;
    let ttl = Duration::from_secs(300);
    assert!(lease.try_hold("$until", ttl).await.unwrap());
    assert!(!lease.try_hold("$$NOW", ttl).await.unwrap());
    lease.release("$until").await.unwrap();
}

#[tokio::test]
async fn it_is_taken_over_when_its_time_is_over_and_not_before() {
    let cluster = cluster();
    let (one, two) = (lease(&cluster).await, lease(&cluster).await);
    let leases = documents().await;
    assert!(one.try_hold("one", Duration::from_secs(1)).await.unwrap());
    let ends = async || {
        let found = leases.find_one(doc! { "_id": &cluster }).await.unwrap();
        found.and_then(|row| row.get_datetime("until").ok().copied())
    };
    let end = ends().await.unwrap();
    let ttl = Duration::from_secs(300);
    until("the second one has it", async || two.try_hold("two", ttl).await.unwrap().then_some(()))
        .await;
    // Its time counts from when it was taken, and that was after the first one's end: by one clock.
    assert!(ends().await.unwrap().timestamp_millis() >= end.timestamp_millis() + 300_000);
    assert!(!one.try_hold("one", ttl).await.unwrap());
    two.release("two").await.unwrap();
}

#[tokio::test]
async fn the_index_removes_the_dead_alone() {
    let (dead, alive) = (cluster(), cluster());
    let leases = documents().await;
    let (short, long) = (lease(&dead).await, lease(&alive).await);
    assert!(long.try_hold("long", Duration::from_secs(300)).await.unwrap());
    assert!(short.try_hold("short", Duration::from_millis(1)).await.unwrap());
    let count = async |name: &str| leases.count_documents(doc! { "_id": name }).await.unwrap();
    until("the dead one is removed", async || (count(&dead).await == 0).then_some(())).await;
    assert_eq!(count(&alive).await, 1);
    long.release("long").await.unwrap();
    assert_eq!(count(&alive).await, 0);
}

/// Nobody listens; somebody listens and says nothing: both are told, and neither holds anybody up.
#[tokio::test]
async fn a_server_that_is_away_is_told_within_the_deadline() {
    let silent = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    for port in [free_port(), silent.local_addr().unwrap().port()] {
        let address = format!("mongodb://me:geheim@127.0.0.1:{port}/?replicaSet=rs0");
        let mongo = Mongo::open(Target::plain("lease", &address), "c").await.unwrap();
        assert!(!format!("{mongo:?}").contains("geheim"), "{mongo:?}");
        let lease = Lease::Mongo(mongo);
        let asked = lease.try_hold("one", Duration::from_secs(3));
        let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
        let told = asked.expect("it has a deadline").unwrap_err().to_string();
        assert!(told.contains("127.0.0.1") && !told.contains("geheim"), "{told}");
        let given = tokio::time::timeout(Duration::from_secs(30), lease.release("one")).await;
        assert!(given.expect("it has a deadline").is_err());
    }
}

#[tokio::test]
async fn a_wrong_address_is_told_at_the_start() {
    for wrong in [
        "mongodb+srv://me:geheim@h",
        "mysql://me:geheim@h",
        "mongodb://me:geheim@h:port",
        "mongodb://me:ge@heim@h",
        "mongodb://me:geheim@h/?w=-1",
    ] {
        let told = Mongo::open(Target::plain("lease", wrong), "c").await.unwrap_err().to_string();
        assert!(told.starts_with("lease.url: "), "{told}");
        assert!(!told.contains("geheim") && !told.contains("heim@"), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
}
