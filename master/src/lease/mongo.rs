//! The lease of several masters: one document of MongoDB for each cluster.
//!
//! The rule: only the server's clock (`$$NOW`) is read, so that masters whose clocks differ agree on
//! when it has run out; and only what a majority of the servers has written counts.

use super::Away;
use mongodb::Collection;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{IndexOptions, ReturnDocument};
use shared::address::Target;
use shared::mongo::{self, Manner, is_duplicate};
use std::future::Future;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Shorter than the lease. One question at a time.
const MANNER: Manner = Manner { deadline: Duration::from_secs(2), pool_max: 2 };
const COLLECTION: &str = "lease";

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mongo {
    server: mongo::Mongo,
    leases: Collection<Document>,
    cluster: String,
    /// The index that removes what has run out is there; it is only asked for once.
    indexed: std::sync::Arc<OnceCell<()>>,
}

impl Mongo {
    /// Asks nobody yet, but whether one that needs a certificate is who it should be.
    ///
    /// # Errors
    /// The address cannot be one, or another one answers there.
    pub async fn open(target: Target, cluster: &str) -> anyhow::Result<Mongo> {
        let server = mongo::Mongo::open_met(target, cluster, MANNER).await?;
        let leases = server.collection(COLLECTION);
        Ok(Mongo { server, leases, cluster: cluster.to_owned(), indexed: Default::default() })
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
                let away = self.server.away(&error.to_string());
                tracing::warn!("the lease: leases of clusters that are gone stay: {away}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Away> {
        self.server.in_time(asked).await.map_err(|away| Away(away.to_string()))
    }
}
