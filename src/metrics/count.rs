use crate::{
    error::{Problem, explain, find},
    timeout::error::{Elapsed, Limit},
};
use std::error::Error;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $family:ident $label:literal,)*) => {
        /// Something that is counted, for a whole gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Count {
            $($(#[$doc])* $name,)*
        }

        impl Count {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Count] = &[$(Count::$name,)*];

            /// The metric it belongs to.
            pub const fn family(self) -> Family {
                match self {
                    $(Count::$name => Family::$family,)*
                }
            }

            /// What tells it from others of its [`family`](Count::family).
            pub const fn label(self) -> &'static str {
                match self {
                    $(Count::$name => $label,)*
                }
            }
        }
    };
}

counts! {
    /// A web page that is not let in.
    Origin = Refused "origin",
    /// A request under a name that the gateway does not serve.
    Host = Refused "host",
    /// A connection without TLS to a port that speaks it, or whose handshake failed.
    Tls = Refused "tls",
    /// A request without credentials, or with wrong ones.
    Unauthorized = Refused "unauthorized",
    /// A caller who may not do what it asks for.
    Forbidden = Refused "forbidden",
    /// A caller that asks too often, or has as many calls in flight as it may.
    RateLimited = Refused "rate_limited",
    /// A body above the limit.
    BodyTooLarge = Refused "body_too_large",
    /// A body that is no JSON or no message, a request that HTTP has other words for.
    Malformed = Refused "malformed",
    /// A header that is missing, or that contradicts the body.
    Header = Refused "header",
    /// A protocol version that is not served.
    Version = Refused "version",
    /// A method that nobody knows.
    UnknownMethod = Refused "unknown_method",
    /// Parameters that cannot be used; a tool, prompt or resource that nobody has.
    InvalidParams = Refused "invalid_params",
    /// A question of a server that the client of the call could not be asked.
    Capability = Refused "capability",
    /// A session that has ended or never was.
    UnknownSession = Refused "unknown_session",
    /// A state that a client brought back too late, or that is another's.
    StaleState = Refused "stale_state",
    /// One session more than `maxSessions`.
    Sessions = Refused "too_many_sessions",
    /// One listening client more than `maxStreams`, or subscriptions of one client beyond their bound.
    Streams = Refused "too_many_streams",
    /// A call above `maxInFlight` or `maxInFlightPerServer`.
    Overloaded = Refused "overloaded",
    /// No server of the name is well.
    NoEndpoint = Refused "no_endpoint",
    /// No server of the name takes more than a trial call.
    Recovering = Refused "recovering",
    /// A name of a server that has never been listed.
    NotListed = Refused "not_listed",
    /// A call that came, or was still running, at the end of the gateway.
    ShuttingDown = Refused "shutting_down",
    /// What a layer of one's own refuses with a reason of its own.
    Other = Refused "other",

    /// A call about which the server was silent for `requestTimeout`.
    Silence = TimedOut "silence",
    /// A call that took `maxTotal`.
    Total = TimedOut "total",
    /// A question of a server that nobody answered in `askTimeout`.
    Ask = TimedOut "ask",

    /// A call without a connection to its server.
    Connect = Failed "connect",
    /// A call whose connection was lost.
    Closed = Failed "closed",
    /// A call whose server forgets every session.
    SessionLost = Failed "session_lost",
    /// A call that its server answered with another status than the protocol knows.
    Status = Failed "status",
    /// A call with an answer that the protocol does not allow.
    Protocol = Failed "protocol",
    /// A call with an answer above `maxMessageBytes`.
    MessageTooLarge = Failed "too_large",
    /// A call of a child process that could not be started.
    NotStarted = Failed "not_started",
    /// A call of a server that refused to begin.
    Handshake = Failed "handshake",
    /// A call that failed for a reason nobody foresaw; the log has more.
    Internal = Failed "internal",

    /// A call that had not been sent, tried elsewhere.
    Unsent = Repeated "unsent",
    /// A call that may run twice, sent again.
    Idempotent = Repeated "idempotent",
    /// A call sent again because its server had forgotten the session.
    Session = Repeated "session",
    /// A repetition that the budget did not allow.
    OverBudget = Repeated "over_budget",

    /// A notification for a client that takes them too slowly, or of a server that sends too many.
    Notification = Dropped "notification",
    /// A message on its way to a server that takes them too slowly.
    Message = Dropped "message",
    /// A line of a child's stderr beyond what is logged in a second.
    LogLine = Dropped "log_line",
    /// Something a server sent that is no message, or above the limit.
    Garbage = Dropped "garbage",
    /// A question of a server that belongs to no call for certain.
    Question = Dropped "question",
    /// A client that took nothing for so long that its stream was ended.
    StalledClient = Dropped "stalled_client",
    /// A request whose head or body took too long.
    SlowClient = Dropped "slow_client",

    /// A new configuration that was taken.
    Reloaded = Reloads "ok",
    /// A new configuration with a mistake; the old one stands.
    NotReloaded = Reloads "failed",
}

impl Count {
    /// What a failure is counted as: the one that [`explain`] words for the client.
    ///
    /// ```
    /// use tower_mcp_gateway::{BoxError, error::Problem, metrics::Count};
    ///
    /// let error: BoxError = Problem::new(429, "rate_limited", "at most 5 calls per second").into();
    /// assert_eq!(Count::of(&*error), Count::RateLimited);
    /// ```
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        match find::<Elapsed>(error).map(Elapsed::limit) {
            Some(Limit::Silence) => Count::Silence,
            Some(Limit::Total) => Count::Total,
            Some(Limit::Ask) => Count::Ask,
            None => Count::of_problem(&explain(error)),
        }
    }

    /// What a problem is counted as: by its reason where that is one of the gateway's own, by its code otherwise.
    pub fn of_problem(problem: &Problem) -> Self {
        let Some(reason) = problem.reason() else { return Self::of_code(problem) };
        let is_it =
            |count: &&Count| count.label() == reason && matches!(count.family(), Family::Refused | Family::Failed);
        let known = match reason {
            "method_not_allowed" | "content_type" | "accept" | "event" | "stream" => Some(Count::Malformed),
            "session" => Some(Count::UnknownSession),
            "too_many_calls" => Some(Count::RateLimited),
            "subscriptions" => Some(Count::Streams),
            "timeout" => Some(Count::Ask),
            "rounds" => Some(Count::Protocol),
            _ => Count::ALL.iter().find(is_it).copied(),
        };
        known.unwrap_or(Count::Other)
    }

    fn of_code(problem: &Problem) -> Self {
        match (problem.status.as_u16(), problem.code) {
            (413, _) => Count::BodyTooLarge,
            (408, _) => Count::SlowClient,
            (_, -32700 | -32600) => Count::Malformed,
            (_, -32601) => Count::UnknownMethod,
            (_, -32602) => Count::InvalidParams,
            (_, -32020) => Count::Header,
            (_, -32021) => Count::Capability,
            (_, -32022) => Count::Version,
            (_, -32603) => Count::Internal,
            _ => Count::Other,
        }
    }
}

/// A metric whose values are told apart by one label.
///
/// ```
/// use tower_mcp_gateway::metrics::{Count, Family};
///
/// assert_eq!(Family::TimedOut.names(), ("timeouts", "limit"));
/// let deadlines = Count::ALL.iter().filter(|count| count.family() == Family::TimedOut);
/// assert!(deadlines.map(|count| count.label()).eq(["silence", "total", "ask"]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Requests and calls turned away before a server was asked.
    Refused,
    /// Calls that ran into a deadline.
    TimedOut,
    /// Calls that a server was asked for and the gateway has no answer to.
    Failed,
    /// Calls that were sent, or tried to be sent, once more.
    Repeated,
    /// What was thrown away so that nothing grows without bound.
    Dropped,
    /// New configurations.
    Reloads,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 6] =
        [Family::Refused, Family::TimedOut, Family::Failed, Family::Repeated, Family::Dropped, Family::Reloads];

    /// The metric's name without prefix and suffix, and that of its label.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Family::Refused => ("refused", "reason"),
            Family::TimedOut => ("timeouts", "limit"),
            Family::Failed => ("failed", "reason"),
            Family::Repeated => ("repeated", "reason"),
            Family::Dropped => ("dropped", "what"),
            Family::Reloads => ("reloads", "outcome"),
        }
    }

    /// What the metric counts, in one sentence.
    pub const fn help(self) -> &'static str {
        match self {
            Family::Refused => "Requests and calls turned away before a server was asked",
            Family::TimedOut => "Calls that ran into a deadline",
            Family::Failed => "Calls that a server was asked for and the gateway has no answer to",
            Family::Repeated => "Calls that were sent, or tried to be sent, once more",
            Family::Dropped => "What was thrown away so that nothing grows without bound",
            Family::Reloads => "New configurations, by whether they were taken",
        }
    }
}
