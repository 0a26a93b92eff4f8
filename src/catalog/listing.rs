use super::headers;
use crate::{
    Method, Revision,
    identity::Identity,
    json::{Json, is_taken_for, object::each_member},
    pin::Change,
    route::Mirror,
};

/// The four lists of a server.
///
/// What they differ in stands here: the method that asks for one, the member that holds it, and what an item is known by.
///
/// ```
/// use tower_mcp_gateway::{Method, catalog::Kind};
///
/// let kind = Kind::of(&Method::RESOURCES_TEMPLATES_LIST).expect("it asks for a list");
/// assert_eq!((kind.member(), kind.key(), kind.word()), ("resourceTemplates", "uriTemplate", "resource template"));
/// assert_eq!(Kind::of(&Method::TOOLS_CALL), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Tools, Kind::Prompts, Kind::Resources, Kind::Templates];

    /// The method that asks for the list.
    pub const fn method(self) -> Method {
        match self {
            Kind::Tools => Method::TOOLS_LIST,
            Kind::Prompts => Method::PROMPTS_LIST,
            Kind::Resources => Method::RESOURCES_LIST,
            Kind::Templates => Method::RESOURCES_TEMPLATES_LIST,
        }
    }

    /// The list a method asks for.
    pub fn of(method: &Method) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == *method)
    }

    /// The member of the result that holds the list.
    pub const fn member(self) -> &'static str {
        match self {
            Kind::Tools => "tools",
            Kind::Prompts => "prompts",
            Kind::Resources => "resources",
            Kind::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that names it.
    pub const fn key(self) -> &'static str {
        match self {
            Kind::Tools | Kind::Prompts => "name",
            Kind::Resources => "uri",
            Kind::Templates => "uriTemplate",
        }
    }

    /// The capability of a server that has such a list.
    pub const fn capability(self) -> &'static str {
        match self {
            Kind::Tools => "tools",
            Kind::Prompts => "prompts",
            Kind::Resources | Kind::Templates => "resources",
        }
    }

    /// One item, in words.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Tools => "tool",
            Kind::Prompts => "prompt",
            Kind::Resources => "resource",
            Kind::Templates => "resource template",
        }
    }
}

/// One tool, prompt, resource or resource template, as its server sent it.
///
/// Only the name is read. Schemas, annotations, icons and whatever a later revision adds are bytes that pass, so a
/// client sees each exactly as the server wrote it.
///
/// ```
/// use tower_mcp_gateway::{catalog::{Item, Kind}, json::Json};
///
/// let item = Item::new(Kind::Tools, Json::from_static(r#"{"name":"a","x-new":1.0}"#)).unwrap();
/// assert_eq!((&*item.key, item.json.as_str()), ("a", r#"{"name":"a","x-new":1.0}"#));
/// assert!(Item::new(Kind::Resources, item.json).is_none(), "a resource is known by its URI");
///
/// let double = Json::from_static(r#"{"name":"a","Description":"for those who compare without regard to case"}"#);
/// assert!(Item::new(Kind::Tools, double).is_none());
///
/// let long = Json::from_value(&serde_json::json!({"name": "a".repeat(Item::MAX_NAME + 1)}))?;
/// assert!(Item::new(Kind::Prompts, long).is_none());
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, URI or URI template.
    pub key: Box<str>,
    /// All of it.
    pub json: Json,
}

impl Item {
    /// The longest name of a tool or a prompt, in bytes: eight times what the protocol recommends. Names are repeated in
    /// notices, counts, headers and every list, so a server must not make one that is as large as a message.
    pub const MAX_NAME: usize = 1 << 10;
    /// The longest URI of a resource, and the longest URI template, in bytes: some servers put data into it, and the
    /// subscriptions of all clients have room for sixteen of them ([`Hub::MAX_BYTES`](crate::subscribe::Hub::MAX_BYTES)).
    pub const MAX_URI: usize = 64 << 10;

    /// Takes an item; `None` if it has no usable name: none at all, or one beyond [`MAX_NAME`](Self::MAX_NAME) or
    /// [`MAX_URI`](Self::MAX_URI); or if it has a member that some clients take for its name or for what models read of it, as
    /// `Name` by those that do not regard case.
    pub fn new(kind: Kind, json: Json) -> Option<Self> {
        Self::read(kind, json).ok()
    }

    /// Takes an item, or says why it cannot be used.
    pub(super) fn read(kind: Kind, json: Json) -> Result<Self, &'static str> {
        let key = json.member(kind.key()).and_then(|key| key.read::<String>().ok()).filter(|key| !key.is_empty());
        let (max, fault) = match kind {
            Kind::Tools | Kind::Prompts => (Self::MAX_NAME, "a name of more than 1 KiB"),
            Kind::Resources | Kind::Templates => (Self::MAX_URI, "a URI of more than 64 KiB"),
        };
        match key {
            None => Err("no usable name"),
            Some(key) if key.len() > max => Err(fault),
            Some(_) if has_double(&json) => {
                Err("a member that may be taken for another, such as \"Name\" for \"name\"")
            }
            Some(key) => Ok(Self { key: key.into(), json }),
        }
    }

    /// Whether a tool can only be called as a task of 2025-11-25 (`execution.taskSupport`), which the gateway does not
    /// offer.
    pub fn needs_task(&self) -> bool {
        let support = self.json.member("execution").and_then(|execution| execution.member("taskSupport"));
        support.is_some_and(|support| support.as_str() == "\"required\"")
    }
}

impl Item {
    /// The arguments of a tool that clients repeat in headers, or what is wrong with its annotations.
    pub(super) fn mirrors(&self) -> Result<Vec<Mirror>, &'static str> {
        // Few tools have any, and only theirs are read.
        if memchr::memmem::find(self.json.as_bytes(), b"x-mcp-header").is_none() {
            return Ok(Vec::new());
        }
        let schema = self.json.member("inputSchema").and_then(|schema| schema.read().ok());
        schema.map_or(Ok(Vec::new()), |schema| headers::mirrors(&schema))
    }
}

/// The members of items that a gateway decides by, compares or replaces, and that models read.
const MEANT: [&str; 8] =
    ["name", "title", "description", "inputSchema", "outputSchema", "annotations", "uri", "uriTemplate"];

/// Whether an item has a member that some clients take for one of [`MEANT`]: what they show would be another than what was
/// renamed, described by the operator or pinned.
fn has_double(item: &Json) -> bool {
    let mut found = false;
    let is_double = |key: &str| MEANT.iter().any(|known| key != *known && is_taken_for(known, key.as_bytes()));
    // What ends this early are members that stand twice, which every comparison takes note of itself.
    let _ = each_member(item.as_bytes(), |key, _| found |= is_double(key));
    found
}

/// For how long, and by whom, a result may be cached (2026-07-28, "server/utilities/caching").
///
/// A list that is merged of several may be kept as long as each of them allows, so the strictest word holds.
///
/// ```
/// use tower_mcp_gateway::{catalog::Freshness, json::Json};
///
/// let fresh = Freshness::of(&Json::from_static(r#"{"tools":[],"ttlMs":60000,"cacheScope":"public"}"#));
/// assert_eq!(fresh, Freshness { ttl_ms: 60_000, public: true });
/// assert_eq!(fresh.and(Freshness::NONE), Freshness::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// `ttlMs`
    pub ttl_ms: u64,
    /// Whether `cacheScope` is `public`.
    pub public: bool,
}

impl Freshness {
    /// What a server that says nothing allows: nothing.
    pub const NONE: Self = Self { ttl_ms: 0, public: false };

    /// What `result` allows.
    pub fn of(result: &Json) -> Self {
        let ttl_ms = result.member("ttlMs").and_then(|ttl| ttl.read().ok()).unwrap_or(0);
        let public = result.member("cacheScope").is_some_and(|scope| scope.as_str() == "\"public\"");
        Self { ttl_ms, public }
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { ttl_ms: self.ttl_ms.min(other.ttl_ms), public: self.public && other.public }
    }
}

/// One list of a server, in its order.
///
/// ```
/// use tower_mcp_gateway::{catalog::{Kind, Listing}, json::Json};
///
/// let listing = Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"write"},{"name":"read"}]"#));
/// let names: Vec<_> = listing.list(Kind::Tools).items.iter().map(|tool| &*tool.key).collect();
/// assert_eq!(names, ["write", "read"]);
/// assert!(listing.list(Kind::Prompts).items.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The items.
    pub items: Vec<Item>,
    /// How long they are good for; `None` if the server has no such list.
    pub freshness: Option<Freshness>,
}

/// What one endpoint offers.
///
/// [`fetch`](super::fetch) makes one of a server's answers; by hand it is made for tests and for servers that are no
/// servers:
///
/// ```
/// use tower_mcp_gateway::{catalog::{Kind, Listing}, json::Json};
///
/// let listing = Listing::default()
///     .capable(Json::from_static(r#"{"prompts":{},"completions":{}}"#))
///     .with(Kind::Prompts, Json::from_static(r#"[{"name":"greet"},{"title":"without a name"}]"#));
/// assert_eq!(listing.list(Kind::Prompts).items.len(), 1);
/// assert!(listing.has("completions") && !listing.has("tools"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub(super) lists: [List; 4],
    /// The `capabilities` of its `server/discover`.
    pub capabilities: Option<Json>,
    /// Its `instructions`.
    pub instructions: Option<Box<str>>,
    /// Its `serverInfo`: for display, never for decisions.
    pub server_info: Option<Json>,
    /// Which gateway it is, if it is one.
    pub(crate) identity: Option<Identity>,
    /// The revision it speaks: the newest it lists that is known here.
    pub revision: Option<Revision>,
    /// How long its `server/discover` is good for.
    pub freshness: Option<Freshness>,
    /// The lists that could not be fetched, and show what was known before.
    pub stale: Vec<Kind>,
    /// Tools that must not be listed, with the reason.
    pub(super) rejected: Vec<(Box<str>, &'static str)>,
    /// Tools that are not what was first seen; see [`pin`](crate::pin).
    pub changed: Vec<Change>,
    /// Tools of [`changed`](Self::changed), and those that could not be pinned, that are in no list.
    pub(super) withheld: Vec<Box<str>>,
    /// How many tools could not be pinned.
    pub(super) unpinned: usize,
}

impl Listing {
    /// One of its lists.
    pub fn list(&self, kind: Kind) -> &List {
        &self.lists[kind as usize]
    }

    /// The listing with this array as one of its lists; elements without a usable name are left out.
    #[must_use]
    pub fn with(mut self, kind: Kind, array: Json) -> Self {
        let items = array.elements().into_iter().flatten();
        self.lists[kind as usize].items = items.filter_map(|item| Item::new(kind, item)).collect();
        self
    }

    /// The listing with these capabilities.
    #[must_use]
    pub fn capable(mut self, capabilities: Json) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Takes out the tools whose `x-mcp-header` annotations are invalid, as a client over HTTP must (2026-07-28,
    /// "server/tools"); the merged table says which they were.
    #[must_use]
    pub fn without_invalid_headers(mut self) -> Self {
        let mut rejected = Vec::new();
        self.lists[Kind::Tools as usize].items.retain(|tool| {
            let fault = tool.mirrors().err();
            rejected.extend(fault.map(|fault| (tool.key.clone(), fault)));
            fault.is_none()
        });
        self.rejected.append(&mut rejected);
        self
    }

    /// Whether it declares a capability.
    pub fn has(&self, capability: &str) -> bool {
        let declared = self.capabilities.as_ref().and_then(|capabilities| capabilities.member(capability));
        declared.is_some_and(|value| value.as_str() != "null" && value.as_str() != "false")
    }

    /// Whether it declares that it tells of changes of single resources (`resources.subscribe`).
    pub fn subscribes(&self) -> bool {
        let resources = self.capabilities.as_ref().and_then(|capabilities| capabilities.member("resources"));
        resources.and_then(|resources| resources.member("subscribe")).is_some_and(|value| value.as_str() == "true")
    }
}
