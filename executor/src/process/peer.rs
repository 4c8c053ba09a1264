//! Who is at the other end of a Unix socket.

use nix::sys::socket::{getsockopt, sockopt};
use std::os::unix::net::UnixStream;

/// Our own user; root may open any socket, but what he asks for would not run as root.
pub fn is_ours(stream: &UnixStream) -> bool {
    let peer = getsockopt(stream, sockopt::PeerCredentials);
    peer.is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw())
}
