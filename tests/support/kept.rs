//! An address of a server that comes and goes.

use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address on loopback that is refused while nobody listens, and that the system gives to nobody else meanwhile: a port that
/// was only let go belongs to whoever asks for one next.
#[derive(Debug)]
pub struct Kept {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Kept {
    pub fn new() -> Self {
        let socket = bound(([127, 0, 0, 1], 0).into());
        Self { address: socket.local_addr().expect("a bound socket has an address"), _socket: socket }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens at the address, which takes that nobody does.
    pub fn listen(&self) -> TcpListener {
        bound(self.address).listen(BACKLOG).expect("nobody else listens there")
    }
}

/// Sockets that allow it share an address until one of them listens.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option every system has");
    socket.bind(address).expect("a free port, or one that is kept");
    socket
}
