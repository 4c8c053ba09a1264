//! Mongods of a test's own that are one replica set: whose primary may die, or be told to step down,
//! while the others go on.

use crate::own::{Kind, Own};
use mongodb::bson::{Document, doc, oid::ObjectId};
use std::time::Duration;

/// Of a default of 10 s, so that a test need not wait for it.
const ELECTION_MS: i32 = 1_500;
const ANSWER_MAX: Duration = Duration::from_secs(15);

pub struct ReplicaSet {
    pub members: Vec<Own>,
    runtime: tokio::runtime::Runtime,
}

/// Who is primary, and by which election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    pub at: usize,
    pub election: ObjectId,
}

impl ReplicaSet {
    /// Its first primary is there.
    pub fn start(count: usize) -> ReplicaSet {
        let args = ["--replSet", "rs0"].map(str::to_owned);
        let members: Vec<Own> = (0..count).map(|_| Own::start(Kind::Mongod, &args)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let set = ReplicaSet { members, runtime };
        let hosts = set.hosts();
        let all = (0_i32..).zip(&hosts);
        let all: Vec<Document> = all.map(|(at, host)| doc! { "_id": at, "host": host }).collect();
        let settings = doc! { "electionTimeoutMillis": ELECTION_MS };
        let config = doc! { "_id": "rs0", "members": all, "settings": settings };
        set.ask(0, doc! { "replSetInitiate": config }).expect("it is made a set");
        while set.primary().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        set
    }

    fn hosts(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect()
    }

    pub fn url(&self) -> String {
        format!("mongodb://{}/?replicaSet=rs0", self.hosts().join(","))
    }

    /// None while there is none; two members may say so for a moment: the later election counts.
    pub fn primary(&self) -> Option<Primary> {
        let live = (0..self.members.len()).filter(|at| self.members[*at].runs());
        let asked = live.filter_map(|at| {
            let hello = self.ask(at, doc! { "hello": 1 })?;
            let is = hello.get_bool("isWritablePrimary").unwrap_or(false);
            let election = hello.get_object_id("electionId").ok().filter(|_| is)?;
            Some(Primary { at, election })
        });
        asked.max_by_key(|primary| primary.election)
    }

    /// It is well, and one of the others is to take over.
    pub fn step_down(&self, at: usize) {
        self.ask(at, doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 10 })
            .expect("it steps down");
    }

    /// What a member says to a command; none if it refuses.
    fn ask(&self, at: usize, command: Document) -> Option<Document> {
        let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.members[at].port);
        self.runtime.block_on(async {
            let asked = async {
                let client = mongodb::Client::with_uri_str(url).await.ok()?;
                client.database("admin").run_command(command).await.ok()
            };
            tokio::time::timeout(ANSWER_MAX, asked).await.ok().flatten()
        })
    }
}
