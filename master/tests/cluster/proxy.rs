//! A link that can be cut: between masters and a host, in this process.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum Link {
    Whole,
    /// Nothing gets to the host; what it says arrives. As the network does it: held back, not lost.
    DeafHost,
    /// Nothing of the host arrives.
    DumbHost,
    /// Connections break and new ones are refused.
    Cut,
}

const LOOK: Duration = Duration::from_millis(10);

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    link: AtomicU8,
    over: AtomicBool,
    /// Connections that were broken, and looks at bytes that were held back: the faults happened.
    faults: AtomicU64,
}

impl Shared {
    fn is(&self, link: Link) -> bool {
        self.link.load(Ordering::SeqCst) == link as u8
    }
}

impl Proxy {
    /// From a port of its own to that one.
    pub fn to(port: u16, own: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", own)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared::default());
        let proxy = Proxy { port: own, shared: shared.clone() };
        std::thread::spawn(move || {
            while !shared.over.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((up, _)) if !shared.is(Link::Cut) => join(up, port, &shared),
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        });
        proxy
    }

    pub fn set(&self, link: Link) {
        self.shared.link.store(link as u8, Ordering::SeqCst);
    }

    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

fn join(up: TcpStream, port: u16, shared: &Arc<Shared>) {
    let Ok(down) = TcpStream::connect(("127.0.0.1", port)) else { return };
    for (from, to, held) in [(&up, &down, Link::DeafHost), (&down, &up, Link::DumbHost)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        // What is accepted from a listener that does not wait would not wait either.
        from.set_nonblocking(false).unwrap();
        from.set_read_timeout(Some(LOOK)).unwrap();
        let shared = shared.clone();
        std::thread::spawn(move || {
            pass(&from, &to, held, &shared);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, held: Link, shared: &Shared) {
    let mut bytes = [0; 16 * 1024];
    while !shared.over.load(Ordering::SeqCst) {
        if shared.is(Link::Cut) {
            shared.faults.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if shared.is(held) {
            shared.faults.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) if to.write_all(&bytes[..count]).is_err() => return,
            Err(error) if ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                return;
            }
            Ok(_) | Err(_) => {}
        }
    }
}
