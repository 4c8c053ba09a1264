//! Sockets, threads and JVMs of the desk. One loop takes what has happened to [`Desk`] and does what it says.
//!
//! Who is slow holds nobody up: a client whose lines are not taken loses lines, and is told how many.

use super::build::Built;
use super::defined::Warm;
use super::desk::{ClientId, Desk, Do, Event, JvmId, Rules};
use super::talk::{Ask, Told};
use super::words;
use crate::process::table::{self, Process};
use crate::process::{peer, piped};
use crate::supervise::ending::send;
use crate::supervise::talk as frames;
use anyhow::Context;
use shared::clock::Clock;
use shared::etl::{Engine, Family};
use shared::ids::Millis;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Events that are not yet taken; then the JVM that speaks waits.
const EVENTS_MAX: usize = 4_096;
/// Of one client, in bytes.
const UNTAKEN_MAX: usize = 8 * 1024 * 1024;
/// A longer line of a JVM is none of ours.
const LINE_MAX: u64 = 1024 * 1024;
/// Beside those that run and wait: who is just coming or going.
const GUESTS_MAX: usize = 32;
const STACK: usize = 256 * 1024;
const IDLE_MS: Millis = 60_000;

#[derive(Debug)]
enum Message {
    Came(UnixStream),
    Left(ClientId),
    Event(Event),
}

struct Client {
    tell: Sender<Told>,
    untaken: Arc<AtomicUsize>,
    lost: u64,
}

struct Jvm {
    say: Sender<String>,
    process: Option<Process>,
}

struct Shell<'a> {
    desk: Desk,
    built: &'a Built,
    family: Family,
    clients_max: usize,
    clients: BTreeMap<ClientId, Client>,
    jvms: BTreeMap<JvmId, Jvm>,
    next: ClientId,
    told: SyncSender<Message>,
    clock: Clock,
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(work).map(|_| ())
}

/// Until it is ended: by the end of its process.
///
/// # Errors
/// The socket cannot be made, or the system gives us no thread.
pub(super) fn serve(warm: &Warm, built: &Built, own: &Path) -> anyhow::Result<()> {
    let family = warm.family().context("no engine is named")?;
    let (slots, queue) = (warm.slots as usize, warm.queue as usize);
    let rules = Rules {
        slots,
        queue,
        recycle_after: warm.recycle_after,
        grace_ms: Millis::from(warm.stop_grace_s) * 1_000,
        start_ms: Millis::from(warm.start_within_s) * 1_000,
    };
    let (told, messages) = sync_channel(EVENTS_MAX);
    listen(own, told.clone())?;
    let shell = Shell {
        desk: Desk::new(rules),
        built,
        family,
        clients_max: slots + queue + GUESTS_MAX,
        clients: BTreeMap::new(),
        jvms: BTreeMap::new(),
        next: 1,
        told,
        clock: Clock::system(),
    };
    shell.work(&messages);
    Ok(())
}

/// Its directory is open to its own user alone, so nobody else reaches the socket; who connects is looked
/// at all the same.
fn listen(own: &Path, told: SyncSender<Message>) -> anyhow::Result<()> {
    let path = own.join("desk.sock");
    let what = || format!("the socket {}", path.display());
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(what);
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(what)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).with_context(what)?;
    thread("listen", move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) if peer::is_ours(&stream) => {
                    if told.send(Message::Came(stream)).is_err() {
                        return;
                    }
                }
                Ok(_) => tracing::warn!("another user has knocked: nothing is run for him"),
                Err(error) => {
                    tracing::warn!("a connection that did not come about: {error}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    })
    .context("a thread")
}

impl Shell<'_> {
    fn work(mut self, messages: &Receiver<Message>) {
        let todo = self.desk.due(self.clock.mono_ms());
        self.obey(todo);
        loop {
            let next = self.desk.next().map_or(IDLE_MS, |at| at - self.clock.mono_ms());
            let ms = u64::try_from(next.clamp(0, IDLE_MS)).unwrap_or(0);
            let todo = match messages.recv_timeout(Duration::from_millis(ms)) {
                Ok(Message::Came(stream)) => {
                    if let Err(error) = self.came(stream) {
                        tracing::warn!("a connection cannot be served: {error}");
                    }
                    continue;
                }
                Ok(Message::Left(client)) => {
                    self.clients.remove(&client);
                    self.desk.take(self.clock.mono_ms(), Event::Gone(client))
                }
                Ok(Message::Event(event)) => {
                    if let Event::Over(jvm, words) = &event {
                        tracing::info!("JVM {jvm} has {words}");
                        self.jvms.remove(jvm);
                    }
                    self.desk.take(self.clock.mono_ms(), event)
                }
                Err(RecvTimeoutError::Timeout) => self.desk.due(self.clock.mono_ms()),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.obey(todo);
        }
    }

    fn obey(&mut self, todo: Vec<Do>) {
        for one in todo {
            match one {
                Do::Start(jvm) => self.start(jvm),
                Do::Say(jvm, line) => {
                    if let Some(jvm) = self.jvms.get(&jvm) {
                        // Its end is heard of by itself.
                        let _ = jvm.say.send(line);
                    }
                }
                Do::Kill(jvm) => self.kill(jvm),
                Do::Tell(client, told) => self.tell(client, told),
            }
        }
    }

    fn came(&mut self, stream: UnixStream) -> std::io::Result<()> {
        if self.clients.len() >= self.clients_max {
            // Closed before anything was begun: it runs cold.
            return Ok(());
        }
        let (id, untaken) = (self.next, Arc::new(AtomicUsize::new(0)));
        self.next += 1;
        let (tell, telling) = channel();
        let (to, counted) = (stream.try_clone()?, untaken.clone());
        thread("tell", move || write_all(to, &telling, &counted))?;
        let (told, family) = (self.told.clone(), self.family);
        thread("ask", move || {
            read_all(stream, id, family, &told);
            let _ = told.send(Message::Left(id));
        })?;
        self.clients.insert(id, Client { tell, untaken, lost: 0 });
        Ok(())
    }

    fn tell(&mut self, client: ClientId, told: Told) {
        let Some(known) = self.clients.get_mut(&client) else { return };
        let untaken = known.untaken.load(Ordering::Relaxed);
        if matches!(told, Told::Log(_)) && untaken > UNTAKEN_MAX {
            known.lost += 1;
            return;
        }
        let say = |told: Told| {
            known.untaken.fetch_add(told.size(), Ordering::Relaxed);
            let _ = known.tell.send(told);
        };
        if told.is_last() {
            if known.lost > 0 {
                say(Told::Log(format!(
                    "hcndc: {} lines came faster than they were taken, and are lost",
                    known.lost
                )));
            }
            say(told);
            self.clients.remove(&client);
        } else {
            say(told);
        }
    }

    fn start(&mut self, id: JvmId) {
        let told = self.told.clone();
        let over = move |words: String| {
            let _ = told.send(Message::Event(Event::Over(id, words)));
        };
        let begun = piped::start_spoken(&self.built.argv, &self.built.dir);
        let Ok(mut spoken) = begun.inspect_err(|error| tracing::warn!("no JVM: {error}")) else {
            // Not by ourselves at once: our own queue may be full.
            let _ = thread("over", move || over("not begun: see the log of the service".into()));
            return;
        };
        let process = table::look(spoken.process.id().cast_signed());
        tracing::info!("JVM {id}: process {}", spoken.process.id());
        let (say, saying) = channel();
        let told = self.told.clone();
        let streams = (spoken.input.take(), spoken.output.take());
        let (Some(input), Some(output)) = streams else { return };
        let started = thread("say", move || say_all(input, &saying)).and_then(|()| {
            thread("hear", move || over(hear_all(spoken.process, output, id, &told)))
        });
        if let Err(error) = started {
            tracing::error!("no thread for a JVM: {error}");
        }
        self.jvms.insert(id, Jvm { say, process });
    }

    /// With all that it has started.
    fn kill(&self, id: JvmId) {
        let Some(root) = self.jvms.get(&id).and_then(|jvm| jvm.process) else { return };
        tracing::warn!("JVM {id}, process {}, is killed", root.pid);
        let is_root = |one: &Process| one.pid == root.pid && one.start == root.start;
        for process in table::descendants(&table::all(), is_root) {
            send(&process, libc::SIGKILL);
        }
    }
}

fn write_all(stream: UnixStream, telling: &Receiver<Told>, untaken: &AtomicUsize) {
    let mut to = BufWriter::new(&stream);
    let mut next = telling.recv().ok();
    while let Some(told) = next {
        let sent = frames::encode(&told).and_then(|frame| to.write_all(&frame));
        untaken.fetch_sub(told.size(), Ordering::Relaxed);
        next = telling.try_recv().ok();
        if next.is_none() {
            if sent.and_then(|()| to.flush()).is_err() || told.is_last() {
                break;
            }
            next = telling.recv().ok();
        }
    }
    let _ = to.flush();
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

fn read_all(mut stream: UnixStream, id: ClientId, family: Family, told: &SyncSender<Message>) {
    let (mut received, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let mut asked = false;
    loop {
        loop {
            let Ok(frame) = frames::take_frame(&mut received) else { return };
            let Some(frame) = frame else { break };
            let event = match frames::decode::<Ask>(&frame) {
                Ok(Ask::Run { engine, mut what }) if !asked && engine.family() == family => {
                    asked = true;
                    what.job = engine == Engine::Kitchen;
                    Event::Asked(id, what)
                }
                Ok(Ask::Stop) if asked => Event::Stop(id),
                // A mismatch: closed before anything was begun.
                Ok(_) | Err(_) => return,
            };
            if told.send(Message::Event(event)).is_err() {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
        }
    }
}

fn say_all(mut input: ChildStdin, saying: &Receiver<String>) {
    while let Ok(line) = saying.recv() {
        if input.write_all(line.as_bytes()).and_then(|()| input.flush()).is_err() {
            return;
        }
    }
}

/// How it ended, in words.
fn hear_all(
    mut process: Child,
    output: ChildStdout,
    id: JvmId,
    told: &SyncSender<Message>,
) -> String {
    let mut output = BufReader::with_capacity(64 * 1024, output);
    let mut line = Vec::new();
    let mut odd = String::new();
    loop {
        line.clear();
        match output.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let word = words::heard(text.trim_end_matches(['\n', '\r']));
        if let words::Word::Odd(text) = &word {
            tracing::info!("JVM {id}: {text}");
            odd = text.chars().take(200).collect();
        }
        if told.send(Message::Event(Event::Said(id, word))).is_err() {
            break;
        }
    }
    let words = match process.wait() {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("ended, nobody knows how ({error})"),
    };
    if odd.is_empty() { words } else { format!("{words}: {odd}") }
}
