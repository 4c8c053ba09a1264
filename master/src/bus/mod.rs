//! A nudge that something changed: a port. It carries no truth, only a topic: who hears it reads
//! the database, and who misses it finds out at the next look. Embedded, it stays in this process.

pub mod redis;

use tokio::sync::broadcast;

/// Nudges that a slow listener may lag behind: it then hears [`Topic::Lagged`].
const QUEUE: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A definition was edited.
    Definition,
    /// A command waits for the leader.
    Command,
    /// Run state was committed.
    Run,
    /// Nudges were lost: look at everything.
    Lagged,
}

impl Topic {
    const ALL: &[(Topic, &str)] = &[
        (Topic::Definition, "definition"),
        (Topic::Command, "command"),
        (Topic::Run, "run"),
        (Topic::Lagged, "lagged"),
    ];

    /// As it is sent to other processes.
    fn word(self) -> &'static str {
        Topic::ALL.iter().find(|(topic, _)| *topic == self).map_or("lagged", |(_, word)| word)
    }

    fn from_word(word: &str) -> Option<Topic> {
        Topic::ALL.iter().find(|(_, known)| *known == word).map(|(topic, _)| *topic)
    }
}

#[derive(Clone, Debug)]
pub enum Bus {
    Memory(broadcast::Sender<Topic>),
    Redis(redis::Wire),
}

impl Bus {
    pub fn memory() -> Bus {
        Bus::Memory(broadcast::Sender::new(QUEUE))
    }

    pub fn nudge(&self, topic: Topic) {
        match self {
            // Nobody listening is no matter.
            Bus::Memory(sender) => _ = sender.send(topic),
            Bus::Redis(wire) => wire.nudge(topic),
        }
    }

    pub fn listen(&self) -> Ear {
        Ear(match self {
            Bus::Memory(sender) => sender.subscribe(),
            Bus::Redis(wire) => wire.listen(),
        })
    }
}

#[derive(Debug)]
pub struct Ear(broadcast::Receiver<Topic>);

impl Ear {
    /// The next nudge; none when the bus is gone. Cancel-safe.
    pub async fn hear(&mut self) -> Option<Topic> {
        match self.0.recv().await {
            Ok(topic) => Some(topic),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Topic::Lagged),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
