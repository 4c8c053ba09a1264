//! The bus of several masters: what is nudged here is heard here at once, and by the others through
//! a channel of Redis.
//!
//! The rule: nobody waits for Redis, and nothing that may have been missed is kept quiet. A nudge that
//! could not be sent, and a connection that was lost, end in [`Topic::Lagged`] when it is back.

use super::{QUEUE, Topic};
use crate::link::Away;
use crate::link::redis::Redis;
use futures::StreamExt;
use shared::tasks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// Between two attempts to reach a server that is away.
const RETRY: Duration = Duration::from_millis(500);
/// A connection over which nothing comes may be dead: it is asked so often.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Cheap to clone; with the last one its two tasks end.
#[derive(Clone, Debug)]
pub struct Wire {
    here: broadcast::Sender<Topic>,
    out: mpsc::Sender<Topic>,
    /// Nudges did not fit into `out`.
    lost: Arc<AtomicBool>,
    _alive: Arc<watch::Sender<()>>,
}

impl Wire {
    /// # Errors
    /// There is no randomness to be had.
    pub fn over(redis: Redis) -> anyhow::Result<Wire> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let origin = random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let here = broadcast::Sender::new(QUEUE);
        let (out, queue) = mpsc::channel(QUEUE);
        let (alive, life) = watch::channel(());
        let lost = Arc::new(AtomicBool::new(false));
        let channel = redis.key("bus");
        let speaker =
            Speaker { redis: redis.clone(), channel: channel.clone(), origin: origin.clone() };
        tasks::spawn("the bus, outwards", speaker.speak(queue, Arc::clone(&lost)));
        let listener = Listener { redis, channel, origin, here: here.clone() };
        tasks::spawn("the bus, inwards", listener.hear(life));
        Ok(Wire { here, out, lost, _alive: Arc::new(alive) })
    }

    pub(super) fn nudge(&self, topic: Topic) {
        // Nobody listening is no matter.
        let _ = self.here.send(topic);
        if self.out.try_send(topic).is_err() {
            self.lost.store(true, Ordering::Release);
        }
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Topic> {
        self.here.subscribe()
    }
}

struct Speaker {
    redis: Redis,
    channel: String,
    origin: String,
}

impl Speaker {
    async fn speak(self, mut queue: mpsc::Receiver<Topic>, lost: Arc<AtomicBool>) {
        while let Some(first) = queue.recv().await {
            // Of equal nudges one is enough.
            let mut topics = vec![first];
            while let Ok(next) = queue.try_recv() {
                if !topics.contains(&next) {
                    topics.push(next);
                }
            }
            if lost.swap(false, Ordering::Acquire) {
                topics = vec![Topic::Lagged];
            }
            let mut told = false;
            while let Err(away) = self.say(&topics).await {
                if !told {
                    tracing::warn!("the bus: other masters are not nudged: {away}");
                    told = true;
                }
                if queue.is_closed() {
                    return;
                }
                topics = vec![Topic::Lagged];
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn say(&self, topics: &[Topic]) -> Result<(), Away> {
        for topic in topics {
            let message = format!("{} {}", self.origin, topic.word());
            let mut command = redis::cmd("PUBLISH");
            self.redis.ask::<i64>(command.arg(&self.channel).arg(message)).await?;
        }
        Ok(())
    }
}

struct Listener {
    redis: Redis,
    channel: String,
    origin: String,
    here: broadcast::Sender<Topic>,
}

impl Listener {
    async fn hear(self, mut life: watch::Receiver<()>) {
        tokio::select! {
            // The last bus is gone.
            _ = life.changed() => {}
            () = self.hear_for_ever() => {}
        }
    }

    async fn hear_for_ever(&self) {
        let mut missed = false;
        loop {
            let why = match self.redis.subscribe(&self.channel).await {
                Ok(pubsub) => {
                    if missed {
                        tracing::info!("the bus: other masters are heard again");
                        let _ = self.here.send(Topic::Lagged);
                    }
                    missed = false;
                    self.until_lost(pubsub).await
                }
                Err(away) => away.to_string(),
            };
            if !missed {
                tracing::warn!("the bus: other masters are not heard: {why}");
            }
            missed = true;
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Passes on what comes; answers why nothing comes any more.
    async fn until_lost(&self, pubsub: redis::aio::PubSub) -> String {
        let (mut sink, mut stream) = pubsub.split();
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { return "the connection is lost".into() };
                    let text = message.get_payload::<String>().unwrap_or_default();
                    if let Some(topic) = heard(&text, &self.origin) {
                        let _ = self.here.send(topic);
                    }
                }
                _ = ping.tick() => {
                    if let Err(away) = self.redis.in_time(sink.ping::<redis::Value>()).await {
                        return away.to_string();
                    }
                }
            }
        }
    }
}

/// One's own is heard already. A word that is not known is a newer master's: look at everything.
fn heard(text: &str, own: &str) -> Option<Topic> {
    match text.split_once(' ') {
        Some((origin, _)) if origin == own => None,
        Some((_, word)) => Some(Topic::from_word(word).unwrap_or(Topic::Lagged)),
        None => Some(Topic::Lagged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_anothers_topic() {
        assert_eq!(heard("a run", "b"), Some(Topic::Run));
        assert_eq!(heard("a run", "a"), None);
        assert_eq!(heard("a of a later version", "b"), Some(Topic::Lagged));
        assert_eq!(heard("", "b"), Some(Topic::Lagged));
    }
}
