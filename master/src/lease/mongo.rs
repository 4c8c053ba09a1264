//! The lease of several masters: one document of MongoDB for each cluster.
//!
//! The rule: only the server's clock (`$$NOW`) is read, so that masters whose clocks differ agree on
//! when it has run out; and only what a majority of the servers has written counts.

use super::Away;
use crate::link::{scrub, shown};
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, IndexOptions, ReturnDocument, WriteConcern,
};
use mongodb::{Client, Collection, IndexModel};
use std::future::Future;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Shorter than the lease: who waits for an answer longer than that has none.
const DEADLINE: Duration = Duration::from_secs(2);
/// If the address names no database.
const DATABASE: &str = "hcndc";
const COLLECTION: &str = "lease";
/// A document that is there already, said by the server.
const DUPLICATE_KEY: i32 = 11_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct Mongo {
    leases: Collection<Document>,
    cluster: String,
    url: std::sync::Arc<str>,
    /// The index that removes what has run out is there; it is only asked for once.
    indexed: std::sync::Arc<OnceCell<()>>,
}

/// By hand: the address holds a password.
impl std::fmt::Debug for Mongo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mongo({})", shown(&self.url))
    }
}

impl Mongo {
    /// Asks nobody yet. `key` is where the address stands in the configuration.
    ///
    /// # Errors
    /// The address cannot be one.
    pub async fn open(key: &str, url: &str, cluster: &str) -> anyhow::Result<Mongo> {
        let wrong = |why: &str| anyhow::anyhow!("{key}: {}: {}", shown(url), scrub(why, url));
        check(url).map_err(|why| anyhow::anyhow!("{key}: {why}"))?;
        let mut options =
            ClientOptions::parse(url).await.map_err(|error| wrong(&error.to_string()))?;
        options.app_name = Some(format!("hcndc {cluster}"));
        options.connect_timeout = Some(DEADLINE);
        options.server_selection_timeout = Some(DEADLINE);
        // One question at a time; the driver's own watch of the servers is not counted.
        options.max_pool_size = Some(2);
        let database = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let client = Client::with_options(options).map_err(|error| wrong(&error.to_string()))?;
        let majority =
            WriteConcern::builder().w(Acknowledgment::Majority).w_timeout(DEADLINE).build();
        let settings = CollectionOptions::builder().write_concern(majority).build();
        let leases = client.database(&database).collection_with_options(COLLECTION, settings);
        let cluster = cluster.to_owned();
        Ok(Mongo { leases, cluster, url: url.into(), indexed: Default::default() })
    }

    pub(super) async fn try_hold(&self, holder: &str, ttl: Duration) -> Result<bool, Away> {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        // An upsert may not compare with `$$NOW` in its filter: the update itself looks whose it is,
        // and leaves it alone when it is another's.
        let own = doc! { "$eq": ["$holder", { "$literal": holder }] };
        let free = doc! { "$lte": ["$until", "$$NOW"] };
        let mine = doc! { "$or": [own, free] };
        let taken = doc! {
            "holder": { "$cond": [&mine, { "$literal": holder }, "$holder"] },
            "until": { "$cond": [mine, { "$add": ["$$NOW", ttl] }, "$until"] },
        };
        self.in_time(async {
            self.indexed.get_or_try_init(|| self.index()).await?;
            let asked = self
                .leases
                .find_one_and_update(doc! { "_id": &self.cluster }, vec![doc! { "$set": taken }])
                .upsert(true)
                .return_document(ReturnDocument::After);
            match asked.await {
                Ok(row) => {
                    Ok(row.is_some_and(|row| row.get_str("holder").is_ok_and(|its| its == holder)))
                }
                // Two made it at the same moment, and the other one was first.
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    pub(super) async fn release(&self, holder: &str) -> Result<(), Away> {
        let own = doc! { "_id": &self.cluster, "holder": holder };
        self.in_time(async { self.leases.delete_one(own).await }).await?;
        Ok(())
    }

    /// Only for the looks of it: leases that have run out are of clusters that are gone.
    async fn index(&self) -> Result<(), Error> {
        let gone = IndexOptions::builder().expire_after(Duration::ZERO).build();
        let index = IndexModel::builder().keys(doc! { "until": 1 }).options(gone).build();
        match self.leases.create_index(index).await {
            Ok(_) => Ok(()),
            // The server is there and will not: the lease does not need it.
            Err(error) if matches!(*error.kind, ErrorKind::Command(_)) => {
                let why = scrub(&error.to_string(), &self.url);
                tracing::warn!("the lease: leases of clusters that are gone stay: {why}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Away> {
        let why = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => scrub(&error.to_string(), &self.url),
            Err(_) => format!("no answer within {} s", DEADLINE.as_secs()),
        };
        Err(Away(format!("{}: {why}", shown(&self.url))))
    }
}

/// The server says it in one shape for commands and in another for writes.
fn is_duplicate(error: &Error) -> bool {
    let code = match &*error.kind {
        ErrorKind::Command(refused) => Some(refused.code),
        ErrorKind::Write(WriteFailure::WriteError(refused)) => Some(refused.code),
        _ => None,
    };
    code == Some(DUPLICATE_KEY)
}

/// # Errors
/// Why this cannot be the address of a MongoDB.
pub fn check(url: &str) -> Result<(), String> {
    match url.starts_with("mongodb://") {
        true => Ok(()),
        false => Err(format!(
            "{:?} should begin with mongodb://, for example \
             \"mongodb://127.0.0.1:27017/?replicaSet=rs0\"; mongodb+srv:// is not known here: name \
             the hosts",
            shown(url)
        )),
    }
}
