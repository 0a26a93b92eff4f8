use super::{
    HttpService, Limits, Place,
    http1::{Fate, Http1},
    http2,
    socket::{Moves, Socket},
    tasks::Tasks,
    tls::{self, Tls},
};
use futures_util::future::{BoxFuture, Either};
use std::{future::Future, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Handle,
    time::Instant,
};

/// A connection of a listener.
pub(super) struct Accepted {
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    /// `None` where connections are served by the runtime that accepts them.
    pub(super) place: Option<Place>,
}

impl Accepted {
    /// Serves it where its place is.
    pub(super) fn spawn<S: HttpService>(self, stream: TcpStream, service: S, tasks: Tasks) {
        prepare(&stream, self.limits.stall);
        let mut socket = Socket::Here(stream);
        let Some(place) = &self.place else {
            return tasks.clone().spawn(self.serve(socket, service, tasks), &Handle::current());
        };
        if let Err(error) = socket.leave() {
            return lost(&error);
        }
        let runtime = place.runtime().clone();
        // Boxed, because a task has room for what it began with as long as it lives.
        let begin = Box::new({
            let tasks = tasks.clone();
            move |socket| self.serve(socket, service, tasks)
        });
        let connection = async move {
            match socket.arrive() {
                Ok(()) => (*begin)(socket).await,
                Err(error) => lost(&error),
            }
        };
        tasks.spawn(connection, &runtime);
    }

    fn serve<S: HttpService>(self, socket: Socket, service: S, tasks: Tasks) -> impl Future<Output = ()> + Send {
        let begun = Instant::now();
        let Self { peer, tls, limits, place } = self;
        let Some(tls) = tls else {
            let connection = Http1::new(socket, service, limits, begun, tasks.closing(), place);
            return Either::Left(stay(connection, tasks));
        };
        // Boxed, so that connections without TLS have no room for it.
        let encrypted = async move {
            let closing = tasks.closing().clone();
            let shaken = tokio::select! {
                shaken = tls::shake(&tls, socket, peer, (limits, tasks.metrics()), begun) => shaken,
                () = closing.given() => None,
            };
            match shaken {
                Some((stream, true)) => {
                    let _place = place;
                    http2::serve(stream, service, (limits, tasks.metrics().clone()), begun, closing).await;
                }
                Some((stream, false)) => {
                    stay(Http1::new(stream, service, limits, begun, &closing, place), tasks).await;
                }
                None => {}
            }
        };
        Either::Right(Box::pin(encrypted))
    }
}

/// Serves a connection here, as long as its place is here.
async fn stay<T, S>(mut connection: Http1<T, S>, tasks: Tasks)
where
    T: AsyncRead + AsyncWrite + Moves + Unpin + Send + 'static,
    S: HttpService,
{
    let Fate::Moves(runtime) = connection.serve(tasks.metrics()).await else { return };
    match connection.leave() {
        Ok(()) => tasks.clone().spawn(arrive(connection, tasks), &runtime),
        Err(error) => lost(&error),
    }
}

/// Goes on with a connection that has left another thread. Boxed, because its type has itself in it.
fn arrive<T, S>(mut connection: Http1<T, S>, tasks: Tasks) -> BoxFuture<'static, ()>
where
    T: AsyncRead + AsyncWrite + Moves + Unpin + Send + 'static,
    S: HttpService,
{
    Box::pin(async move {
        match connection.arrive() {
            Ok(()) => stay(connection, tasks).await,
            Err(error) => lost(&error),
        }
    })
}

/// The system has no room left to watch a connection with.
fn lost(error: &io::Error) {
    tracing::warn!(%error, "a connection ended because no thread could take it over");
}

/// Sets what the system does for a connection.
fn prepare(stream: &TcpStream, stall: Duration) {
    // Answers are written whole; waiting for more to send would only delay their last segment.
    let _ = stream.set_nodelay(true);
    // A client that vanished takes nothing and refuses nothing: what is written to it, comments on a silent stream too,
    // waits in the system's buffer for a quarter of an hour, and its connection and session with it. Twice the time it may
    // read nothing, so that one which is merely slow is cut, and counted, by its own clock.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(stall.checked_mul(2));
    #[cfg(not(target_os = "linux"))]
    let _ = stall;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::Accept;
    use super::*;
    use socket2::SockRef;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_client_that_vanished_is_given_up_after_twice_the_time_it_may_read_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        for (stall, given_up) in [(Accept::STALL, Some(Duration::from_secs(60))), (Duration::MAX, None)] {
            prepare(&stream, stall);
            assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), given_up);
        }
    }
}
