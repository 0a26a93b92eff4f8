use crate::json::{Malformed, object::Raw};
use std::{borrow::Cow, fmt};

/// The method of a request or notification: a constant for those the protocol defines, any other text as it came.
///
/// Like [`http::Method`], a known one costs nothing to make, copy or compare.
///
/// ```
/// use tower_mcp_gateway::Method;
///
/// assert_eq!(Method::new("tools/call"), Method::TOOLS_CALL);
/// assert!(Method::new("notifications/of-tomorrow").is_notification());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Method(Name);

/// Each layer asks for the method, so the known ones are told apart by a byte and not by their text.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Known(Known),
    /// Never one that is known.
    Other(Box<str>),
}

macro_rules! methods {
    ($($name:ident = $text:literal),* $(,)?) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "they are named as the constants of `Method`")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        enum Known {
            $($name,)*
        }

        impl Known {
            const fn as_str(self) -> &'static str {
                match self {
                    $(Known::$name => $text,)*
                }
            }
        }

        impl Method {
            $(
                #[doc = concat!("`", $text, "`")]
                pub const $name: Method = Method(Name::Known(Known::$name));
            )*

            fn known(text: &[u8]) -> Option<Self> {
                $(const $name: &[u8] = $text.as_bytes();)*
                match text {
                    $($name => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    INITIALIZE = "initialize",
    INITIALIZED = "notifications/initialized",
    PING = "ping",
    DISCOVER = "server/discover",
    LISTEN = "subscriptions/listen",
    LISTEN_ACKNOWLEDGED = "notifications/subscriptions/acknowledged",
    TOOLS_LIST = "tools/list",
    TOOLS_CALL = "tools/call",
    TOOLS_LIST_CHANGED = "notifications/tools/list_changed",
    PROMPTS_LIST = "prompts/list",
    PROMPTS_GET = "prompts/get",
    PROMPTS_LIST_CHANGED = "notifications/prompts/list_changed",
    RESOURCES_LIST = "resources/list",
    RESOURCES_TEMPLATES_LIST = "resources/templates/list",
    RESOURCES_READ = "resources/read",
    RESOURCES_SUBSCRIBE = "resources/subscribe",
    RESOURCES_UNSUBSCRIBE = "resources/unsubscribe",
    RESOURCES_LIST_CHANGED = "notifications/resources/list_changed",
    RESOURCES_UPDATED = "notifications/resources/updated",
    COMPLETE = "completion/complete",
    SET_LEVEL = "logging/setLevel",
    MESSAGE = "notifications/message",
    PROGRESS = "notifications/progress",
    CANCELLED = "notifications/cancelled",
    ROOTS_LIST = "roots/list",
    ROOTS_LIST_CHANGED = "notifications/roots/list_changed",
    SAMPLE = "sampling/createMessage",
    ELICIT = "elicitation/create",
}

impl Method {
    /// Takes a method name as it came.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self::of(text.into())
    }

    fn of(text: Cow<'_, str>) -> Self {
        Self::known(text.as_bytes()).unwrap_or_else(|| Self(Name::Other(text.into())))
    }

    /// Whether the protocol defines it, so that nothing in it is escaped in JSON.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.0, Name::Known(_))
    }

    pub(crate) fn from_raw(json: Raw<'_>) -> Result<Self, Malformed> {
        // The usual name is told apart as it is written, without a look for what is escaped.
        let quoted = json.as_bytes().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        if let Some(known) = quoted.and_then(Self::known) {
            return Ok(known);
        }
        let text = serde_json::from_str::<Cow<'_, str>>(json.get())
            .map_err(|_| Malformed::shape("\"method\" must be a string"))?;
        Ok(Self::of(text))
    }

    /// Whether messages of this method want no answer.
    pub fn is_notification(&self) -> bool {
        self.as_str().starts_with("notifications/")
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Known(known) => known.as_str(),
            Name::Other(text) => text,
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
