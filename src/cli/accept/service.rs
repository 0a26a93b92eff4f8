use super::Incoming;
use crate::BoxError;
use http::{Request, Response};
use http_body::Body;
use std::convert::Infallible;
use tower::Service;

/// A service that clients can be served with: any tower service of HTTP that never fails, and of which each connection has a
/// copy.
///
/// It is another name for the bounds below, and implemented by whatever meets them; who passes a service on writes it once
/// instead of all of them.
///
/// ```
/// use http::{Request, Response};
/// use std::{convert::Infallible, future::Future};
/// use tokio::net::TcpListener;
/// use tower::service_fn;
/// use tower_mcp_gateway::cli::accept::{Accept, HttpService};
///
/// /// Serves until the program ends.
/// fn serve(listener: TcpListener, service: impl HttpService) -> impl Future<Output = ()> {
///     Accept::new(listener).serve(service, std::future::pending())
/// }
///
/// # tokio_test::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let hello = service_fn(|_: Request<_>| async { Ok::<_, Infallible>(Response::new(String::from("hello"))) });
/// let serving = serve(listener, hello);
/// # drop(serving);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait HttpService:
    Service<
        Request<Incoming>,
        Response = Response<<Self as HttpService>::ResponseBody>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its answers. An error of it cuts the connection, because the head has said that all is well.
    type ResponseBody: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
}
