//! The agent's end of `supervisor.sock`.
//!
//! One connection carries all calls, each with an id; it is made anew when it breaks. A call that
//! is dropped leaves nothing behind: the supervisor answers, and nobody listens.

use crate::supervise::talk::{self, Ask, Framed, Outputs, Status, Told};
use shared::ids::{AttemptId, Incarnation};
use shared::wire::{OrderCall, Refused, WatchAnswer, WatchCall};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::{mpsc, oneshot};

/// An answer that is not there by then does not come; a `watch` has its hold in addition.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Frames waiting to be written: above that a call waits.
const OUTBOX: usize = 64;

/// Cheap to clone; all clones share the connection.
#[derive(Clone, Debug)]
pub struct SupervisorLink {
    socket: Arc<PathBuf>,
    open: Arc<tokio::sync::Mutex<Option<Connection>>>,
    next: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Connection {
    outbox: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Told>>>>,
    broken: Arc<AtomicBool>,
}

/// Takes its call out of the list, however the call ends.
struct Waiting<'a>(&'a Connection, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl SupervisorLink {
    /// Nothing is opened before the first call.
    pub fn new(socket: &Path) -> SupervisorLink {
        SupervisorLink {
            socket: Arc::new(socket.to_owned()),
            open: Arc::default(),
            next: Arc::default(),
        }
    }

    /// # Errors
    /// The supervisor refuses the call, or is not there.
    pub async fn order(&self, call: OrderCall) -> Result<(), Refused> {
        match self.ask(Ask::Order(call), ANSWER_MAX).await? {
            Told::Order(result) => result,
            other => Err(unexpected(&other)),
        }
    }

    /// # Errors
    /// The supervisor refuses the call, or is not there.
    pub async fn watch(&self, call: WatchCall) -> Result<WatchAnswer, Refused> {
        let hold = Duration::from_millis(u64::try_from(call.hold_ms).unwrap_or(0));
        match self.ask(Ask::Watch(call), hold + ANSWER_MAX).await? {
            Told::Watch(result) => result.map(|answer| *answer),
            other => Err(unexpected(&other)),
        }
    }

    /// # Errors
    /// The supervisor is not there.
    pub async fn status(&self) -> Result<Status, Refused> {
        match self.ask(Ask::Status, ANSWER_MAX).await? {
            Told::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether anything of that attempt may still be alive.
    ///
    /// # Errors
    /// The supervisor is not there.
    pub async fn is_running(&self, attempt: AttemptId) -> Result<bool, Refused> {
        match self.ask(Ask::IsRunning(attempt), ANSWER_MAX).await? {
            Told::IsRunning(running) => Ok(running),
            other => Err(unexpected(&other)),
        }
    }

    /// Whose output has grown, or ended, since that answer.
    ///
    /// # Errors
    /// The supervisor is not there, or is of a version that does not know the question.
    pub async fn outputs(&self, life: Incarnation, after: u64) -> Result<Outputs, Refused> {
        match self.ask(Ask::Outputs { life, after }, ANSWER_MAX).await? {
            Told::Outputs(outputs) => Ok(outputs),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&self, body: Ask, wait: Duration) -> Result<Told, Refused> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = talk::encode(&Framed { id, body }).map_err(gone)?;
        let connection = self.connection().await.map_err(gone)?;
        let (tell, told) = oneshot::channel();
        connection.lock().insert(id, tell);
        let _waiting = Waiting(&connection, id);
        let answer = async {
            let closed = || io::Error::other("the connection broke");
            connection.outbox.send(frame).await.map_err(|_| closed())?;
            told.await.map_err(|_| closed())
        };
        match tokio::time::timeout(wait, answer).await {
            Ok(result) => result.map_err(gone),
            Err(_) => {
                // It may hang; the next call tries a fresh connection.
                connection.broken.store(true, Ordering::Relaxed);
                Err(Refused::Supervisor(format!("no answer within {} ms", wait.as_millis())))
            }
        }
    }

    async fn connection(&self) -> io::Result<Connection> {
        let mut open = self.open.lock().await;
        if let Some(connection) = open.as_ref()
            && !connection.broken.load(Ordering::Relaxed)
        {
            return Ok(connection.clone());
        }
        let stream = UnixStream::connect(self.socket.as_path()).await?;
        let (read, mut write) = stream.into_split();
        let (outbox, mut frames) = mpsc::channel::<Vec<u8>>(OUTBOX);
        let waiting = Arc::default();
        let connection = Connection { outbox, waiting, broken: Arc::default() };
        let ends = connection.clone();
        shared::tasks::spawn("supervisor link: write", async move {
            while let Some(frame) = frames.recv().await {
                if write.write_all(&frame).await.is_err() {
                    break;
                }
            }
        });
        shared::tasks::spawn("supervisor link: read", async move {
            if let Err(error) = read_all(read, &ends).await {
                tracing::debug!("the link to the supervisor ended: {error}");
            }
            ends.broken.store(true, Ordering::Relaxed);
            // Whoever waits hears at once that no answer comes.
            ends.lock().clear();
        });
        *open = Some(connection.clone());
        Ok(connection)
    }
}

impl Connection {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Told>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_all(mut read: OwnedReadHalf, connection: &Connection) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        if read.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        while let Some(frame) = talk::take_frame(&mut buffer)? {
            let Framed { id, body } = talk::decode::<Framed<Told>>(&frame)?;
            if let Some(tell) = connection.lock().remove(&id) {
                // A call that was dropped meanwhile does not mind.
                let _ = tell.send(body);
            }
        }
    }
}

fn gone(error: io::Error) -> Refused {
    Refused::Supervisor(error.to_string())
}

fn unexpected(told: &Told) -> Refused {
    Refused::Supervisor(format!("an unexpected answer: {told:?}"))
}
