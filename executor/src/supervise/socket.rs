//! `supervisor.sock`: few clients of our own machine and user, answered without ever waiting for one.

use super::talk::{self, Ask, Framed, Told};
use crate::process::sys;
use nix::poll::PollFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Agent, `run`, and a person or two.
const CLIENTS_MAX: usize = 16;
/// Answers not yet taken; who lets more pile up is cut off.
const PENDING_MAX: usize = 4 * talk::MESSAGE_MAX;
/// Read at one time from one client: the others come up too.
const READ_MAX: usize = 64 * 1024;

pub type ClientId = u64;

#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    clients: BTreeMap<ClientId, Client>,
    next: ClientId,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    pending: Vec<u8>,
}

/// See [`Socket::save`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    listener: RawFd,
    clients: Vec<SavedClient>,
    next: ClientId,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedClient {
    id: ClientId,
    stream: RawFd,
    received: Vec<u8>,
    pending: Vec<u8>,
}

impl Socket {
    /// What an earlier life left at that place is replaced: the lock says that nobody listens.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(path: &Path) -> io::Result<Socket> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Whoever may connect may start programs as us: it is made in a directory of ours alone, and
        // only then put where others can see it.
        let beside = path.with_file_name(".sock.new");
        let made = beside.join("s");
        match std::fs::remove_dir_all(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::DirBuilder::new().mode(0o700).create(&beside)?,
        }
        let listener = UnixListener::bind(&made)?;
        std::fs::set_permissions(&made, PermissionsExt::from_mode(0o600))?;
        std::fs::rename(&made, path)?;
        std::fs::remove_dir(&beside)?;
        Socket::of(listener)
    }

    /// # Errors
    /// The listener cannot be used.
    pub fn of(listener: UnixListener) -> io::Result<Socket> {
        listener.set_nonblocking(true)?;
        Ok(Socket { listener, clients: BTreeMap::new(), next: 1 })
    }

    /// What a re-execution hands over: numbers of descriptors, and what is under way on them.
    pub fn save(&self) -> Saved {
        let client = |(&id, client): (&ClientId, &Client)| SavedClient {
            id,
            stream: client.stream.as_raw_fd(),
            received: client.received.clone(),
            pending: client.pending.clone(),
        };
        let clients = self.clients.iter().map(client).collect();
        Saved { listener: self.listener.as_raw_fd(), clients, next: self.next }
    }

    /// The descriptors that [`Socket::save`] names.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.values().map(|client| client.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(clients)
    }

    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: Saved) -> io::Result<Socket> {
        let mut socket = Socket::of(sys::inherited(saved.listener)?.into())?;
        socket.next = saved.next;
        for SavedClient { id, stream, received, pending } in saved.clients {
            let stream = UnixStream::from(sys::inherited(stream)?);
            socket.clients.insert(id, Client { stream, received, pending });
        }
        Ok(socket)
    }

    /// What to wait for: the listener first, then each client.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let clients = self.clients.values().map(|client| {
            let write = !client.pending.is_empty();
            let flags =
                if write { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
            (client.stream.as_fd(), flags)
        });
        std::iter::once((self.listener.as_fd(), PollFlags::POLLIN)).chain(clients)
    }

    /// Takes in all that has come; gives whole questions, and clients that are gone.
    pub fn receive(&mut self) -> (Vec<(ClientId, Framed<Ask>)>, Vec<ClientId>) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.clients.len() < CLIENTS_MAX && stream.set_nonblocking(true).is_ok() {
                let client = Client { stream, received: Vec::new(), pending: Vec::new() };
                self.clients.insert(self.next, client);
                self.next += 1;
            }
        }
        let mut asked = Vec::new();
        let mut gone = Vec::new();
        for (&id, client) in &mut self.clients {
            let result = client.read().and_then(|()| client.flush()).and_then(|()| {
                while let Some(frame) = talk::take_frame(&mut client.received)? {
                    asked.push((id, talk::decode(&frame)?));
                }
                Ok(())
            });
            if let Err(error) = result {
                tracing::debug!("a client of the socket is gone: {error}");
                gone.push(id);
            }
        }
        self.clients.retain(|id, _| !gone.contains(id));
        (asked, gone)
    }

    /// Sent at once as far as it goes, the rest when the client has room.
    pub fn send(&mut self, to: ClientId, id: u64, body: Told) {
        let Some(client) = self.clients.get_mut(&to) else { return };
        let sent = talk::encode(&Framed { id, body }).and_then(|frame| client.queue(&frame));
        if let Err(error) = sent {
            tracing::warn!("a client of the socket is cut off: {error}");
            self.clients.remove(&to);
        }
    }
}

impl Client {
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; READ_MAX];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn queue(&mut self, frame: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(frame);
        self.flush()?;
        match self.pending.len() > PENDING_MAX {
            true => Err(io::Error::other("it does not take its answers")),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => _ = self.pending.drain(..count),
                Err(error) if is_passing(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
