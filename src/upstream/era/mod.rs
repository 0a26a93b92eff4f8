//! Which era a server speaks, found once, and calls worded for it.
//!
//! [`Era`] makes a [`Service<Call>`](tower::Service) of a [`Transport`](super::Transport). Before the first call it asks
//! the server `server/discover`; a server of 2026-07-28 answers that, any other is greeted with `initialize`. What was
//! found is kept for the life of the server: a later connection is greeted in the era of the one before, and asked
//! again only if that fails. Behind this service nothing knows `initialize`, in front of it nothing does.
//!
//! # The handshake
//!
//! It is made inside the future of the call that needs it first, and every other call that comes meanwhile waits for
//! the same one. A caller that gives up loses nothing: the handshake is kept where the next caller goes on with it, so
//! that no server sees a second `initialize` on one connection. A failure is told to all who waited and then
//! forgotten; the next call tries again.
//!
//! | answer to `server/discover` | era |
//! |---|---|
//! | a result that lists 2026-07-28 | modern |
//! | a result that lists only older revisions | legacy |
//! | −32020, −32021, −32022 (unless it names only older revisions) | modern |
//! | any other error, HTTP 4xx, an answer that is no MCP | legacy |
//! | none within [`era_timeout`](super::Settings::era_timeout) | `initialize` decides; asked again on the next connection |
//! | a child that exits over the question | `initialize` on the next child |
//! | no connection, HTTP 5xx | none: the server is down |
//!
//! (2026-07-28, "basic/versioning", "basic/transports/stdio", "basic/transports/streamable-http: Backward
//! Compatibility".)
//!
//! # Sessions
//!
//! A server of the initialize era is told once per session what can be asked of its client. So where it gives out
//! session ids and is configured [`PerClient`](crate::registry::Sessions::PerClient), each client session gets one of
//! its own, opened with that client's name and what it declares; clients without a session share one for each set of
//! capabilities. At any other server all calls share one session, for which everything is declared that the gateway can
//! carry, and each question is checked against what the call it belongs to declares. So is the session of the gateway's
//! own calls, because servers list tools by what the client can do. A server that takes `initialize` only once has one
//! session for all as well. That it does is believed when it has taken one and then refuses another that says nothing of a
//! client, and looked at again ten minutes later, because a server that is full says the same; one that was ever seen to take
//! another is believed to give each client its own. A client whose own `initialize` is refused where the gateway's would be taken is
//! [unwelcome](super::error::Unwelcome): its call fails, and nothing changes for the others.
//! [`PerClient`] gives each client a whole connection, where the transport knows no sessions.
//!
//! A call refused because its connection was [replaced](super::error::Replaced) or its session
//! [lost](super::error::SessionLost) was not executed: it is sent again after one new handshake, at most three times in all.
//! Where the [refusal](super::error::SessionRefused) may be of the call as well, a `ping` in the session shows which it is: a
//! session that takes it stands, and the refusal is the answer to the call. A server that refuses the next session as it did
//! the last gets no other for 30 seconds, and calls get its own words meanwhile.
//!
//! # Questions
//!
//! What a server of the initialize era asks in the middle of a call goes to a client with a session as
//! [`Event::Ask`](crate::reply::Event::Ask). A client of 2026-07-28 cannot be asked so: the reply ends with an
//! `input_required` result, whose `requestState` is sealed, and the call waits for the retry that brings the answers.
//! Permits and meters of the call are free meanwhile, because its reply has ended. At most 256 calls wait at a server,
//! each for [`ask_timeout`](super::Settings::ask_timeout); then it is cancelled. A state is good once, for the same
//! method and parameters, at the [endpoint it names](endpoint_of); any other is refused with −32602, and the call is
//! not made (2026-07-28, "basic/patterns/mrtr"). Only `tools/call`, `prompts/get` and `resources/read` can be answered
//! so; a question in the course of another method is refused, and one the client has not declared fails the call with
//! −32021. A server's −32042 becomes an `input_required` result as well, after which the call is made again.
//!
//! # Log messages
//!
//! What a server says outside of calls goes to the client whose session or connection it is, if it is one's alone
//! ([`Session::tell`](crate::Session::tell)). The others go to calls that ask for them, from the level on that a call
//! names; a client with a session that named none gets what the server chooses to send. A server of the initialize era has
//! one level for a session: it is set to the lowest that a call ever wanted.
//!
//! # Resources
//!
//! A listener that names resources is acknowledged those that the server lets it subscribe to. However many listen to
//! one, the server of a session is told once, and told again when the last has gone. A client whose session at the server
//! is its own is subscribed in that session as well.
//!
//! # Wording
//!
//! Towards an initialize-era server the modern keys are taken out of `_meta`, `ping` stays `ping`, `server/discover` is
//! answered from what `initialize` returned, and `subscriptions/listen` becomes a stream of what the server says
//! outside of calls. Towards a modern server missing keys of `_meta` are filled in and `ping` becomes
//! `server/discover`. Results keep their bytes.

mod abilities;
mod agreed;
pub mod error;
pub mod future;
mod gate;
mod handshake;
mod lane;
mod lanes;
mod leave;
mod listen;
mod logging;
mod park;
mod per_client;
mod probe;
mod sent;
mod service;
mod subscriptions;
mod takes;
mod wording;

#[cfg(test)]
mod tests;

pub use self::{
    park::endpoint_of,
    per_client::{MAX_CONNECTIONS, PerClient},
    service::Era,
};
