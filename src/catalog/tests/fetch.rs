use super::{refused, result, scripted};
use crate::{
    BoxError, Call, Reply,
    catalog::{Kind, Listing, Terms, error::Silent, fetch},
    json::Json,
    meta,
    reply::{Note, Outcome},
    upstream::error::Closed,
};
use bytes::Bytes;
use futures_util::stream;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const ALL: &str = r#"{"capabilities":{"tools":{},"prompts":{},"resources":{}},"instructions":"Hi","ttlMs":7,
    "cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#;

fn keys(listing: &Listing, kind: Kind) -> Vec<&str> {
    listing.list(kind).items.iter().map(|item| &*item.key).collect()
}

async fn fetched<F>(script: F) -> (Result<Listing, BoxError>, Vec<String>)
where
    F: Fn(&Call, Option<String>) -> Result<Reply, BoxError> + Clone + Send + Sync + 'static,
{
    let (service, asked) = scripted(script);
    let listing = fetch(service, &Terms::default(), None).await;
    let asked = asked.lock().unwrap().clone();
    (listing, asked)
}

#[tokio::test]
async fn lists_are_followed_to_their_end_and_an_empty_cursor_is_one() {
    let (listing, asked) = fetched(|call, cursor| {
        assert_eq!(call.params.meta_member(meta::PROTOCOL_VERSION).unwrap().as_str(), "\"2026-07-28\"");
        Ok(result(match (call.method.as_str(), cursor.as_deref()) {
            ("server/discover", _) => ALL,
            ("tools/list", None) => r#"{"tools":[{"name":"a"}],"nextCursor":"","ttlMs":9,"cacheScope":"public"}"#,
            ("tools/list", Some("")) => r#"{"tools":[{"name":"b"}],"nextCursor":"2","ttlMs":5,"cacheScope":"public"}"#,
            ("tools/list", Some("2")) => {
                r#"{"tools":[{"name":"c"}],"nextCursor":null,"ttlMs":8,"cacheScope":"public"}"#
            }
            ("prompts/list", None) => r#"{"prompts":[{"name":"p"}]}"#,
            ("resources/list", None) => r#"{"resources":[{"uri":"r://1"}]}"#,
            ("resources/templates/list", None) => r#"{"resourceTemplates":[{"uriTemplate":"t://{x}"}]}"#,
            other => panic!("{other:?}"),
        }))
    })
    .await;
    let listing = listing.unwrap();
    assert_eq!(keys(&listing, Kind::Tools), ["a", "b", "c"]);
    assert_eq!(keys(&listing, Kind::Prompts), ["p"]);
    assert_eq!(keys(&listing, Kind::Resources), ["r://1"]);
    assert_eq!(keys(&listing, Kind::Templates), ["t://{x}"]);
    let freshness = listing.list(Kind::Tools).freshness.unwrap();
    assert_eq!((freshness.ttl_ms, freshness.public), (5, true));
    assert!(!listing.list(Kind::Prompts).freshness.unwrap().public);
    assert_eq!(listing.instructions.as_deref(), Some("Hi"));
    assert_eq!(listing.server_info.unwrap().as_str(), r#"{"name":"s"}"#);
    assert_eq!(asked[1..4], ["tools/list", "tools/list \"\"", "tools/list \"2\""]);
}

#[tokio::test]
async fn only_declared_lists_are_asked_for() {
    for capabilities in
        [r#"{"capabilities":{"tools":null,"prompts":false}}"#, "{}", r#"{"capabilities":[]}"#, r#"{"capabilities":7}"#]
    {
        let (listing, asked) = fetched(move |_, _| Ok(result(capabilities))).await;
        assert_eq!(keys(&listing.unwrap(), Kind::Tools), [""; 0]);
        assert_eq!(asked, ["server/discover"]);
    }
}

#[tokio::test]
async fn pages_that_go_in_a_circle_end_and_keep_what_came() {
    let (listing, asked) = fetched(|call, cursor| {
        Ok(result(match (call.method.as_str(), cursor.as_deref()) {
            ("server/discover", _) => r#"{"capabilities":{"tools":{}}}"#,
            (_, None | Some("2")) => r#"{"tools":[{"name":"a"}],"nextCursor":"1"}"#,
            _ => r#"{"tools":[{"name":"b"}],"nextCursor":"2"}"#,
        }))
    })
    .await;
    assert_eq!(keys(&listing.unwrap(), Kind::Tools), ["a", "b", "a"]);
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn endless_pages_and_items_are_bounded() {
    let script = |call: &Call, cursor: Option<String>| {
        let next = cursor.map_or(1, |cursor| cursor.parse::<u64>().unwrap() + 1);
        Ok(match call.method.as_str() {
            "server/discover" => result(r#"{"capabilities":{"tools":{}}}"#),
            _ => result(&format!(r#"{{"tools":[{{"name":"t{next}"}},{{"name":"u{next}"}}],"nextCursor":"{next}"}}"#)),
        })
    };
    let large = usize::MAX;
    for (max_pages, max_items, max_bytes, expected) in
        [(3, 100, large, 6), (100, 5, large, 5), (0, 5, large, 0), (1, 2, large, 2), (100, 100, 120, 4), (9, 9, 1, 0)]
    {
        let (service, asked) = scripted(script);
        let terms = Terms { max_pages, max_items, max_bytes, ..Terms::default() };
        let listing = fetch(service, &terms, None).await.unwrap();
        assert_eq!(listing.list(Kind::Tools).items.len(), expected);
        assert!(asked.lock().unwrap().len() <= 1 + max_pages);
    }
}

#[tokio::test]
async fn a_failing_list_leaves_the_others_and_its_own_last_state() {
    let script = |call: &Call, _| {
        Ok(match call.method.as_str() {
            "server/discover" => result(ALL),
            "tools/list" => result(r#"{"tools":7}"#),
            "prompts/list" => refused(-32603),
            "resources/list" => result(r#"{"resources":[{"uri":"r://new"}]}"#),
            _ => refused(-32601),
        })
    };
    let array = |text: &'static str| crate::json::Json::from_static(text);
    let previous = Listing::default()
        .with(Kind::Tools, array(r#"[{"name":"old"}]"#))
        .with(Kind::Prompts, array(r#"[{"name":"old"}]"#))
        .with(Kind::Resources, array(r#"[{"uri":"r://old"}]"#))
        .with(Kind::Templates, array(r#"[{"uriTemplate":"old"}]"#));
    let (service, _) = scripted(script);
    let listing = fetch(service.clone(), &Terms::default(), Some(&previous)).await.unwrap();
    assert_eq!((keys(&listing, Kind::Tools), keys(&listing, Kind::Prompts)), (vec!["old"], vec!["old"]));
    assert_eq!(listing.stale, [Kind::Tools, Kind::Prompts]);
    assert_eq!(keys(&listing, Kind::Resources), ["r://new"]);
    assert_eq!(keys(&listing, Kind::Templates), [""; 0], "a server that has no such list has none");
    let listing = fetch(service, &Terms::default(), None).await.unwrap();
    assert_eq!(keys(&listing, Kind::Tools), [""; 0]);
}

#[tokio::test]
async fn a_lost_connection_and_a_refused_discover_fail_as_a_whole() {
    let (listing, _) = fetched(|call, _| match call.method.as_str() {
        "server/discover" => Ok(result(ALL)),
        _ => Err(Closed { sent: true }.into()),
    })
    .await;
    assert!(listing.unwrap_err().is::<Closed>());
    let (listing, _) = fetched(|_, _| Ok(refused(-32000))).await;
    assert_eq!(listing.unwrap_err().to_string(), "server/discover was refused with code -32000");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let service = tower::service_fn(|_: Call| std::future::pending::<Result<Reply, BoxError>>());
    let terms = Terms { timeout: Duration::from_secs(3), ..Terms::default() };
    let error = fetch(service, &terms, None).await.unwrap_err();
    assert_eq!(error.downcast::<Silent>().unwrap().limit, Duration::from_secs(3));
    // Nor does it help to keep talking.
    let service = tower::service_fn(|_: Call| {
        let note = || Note::new(crate::Method::MESSAGE, crate::json::Params::empty());
        let chatter = stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok(note().into()), ()))
        });
        std::future::ready(Ok::<_, BoxError>(Reply::stream(chatter)))
    });
    assert!(fetch(service, &terms, None).await.unwrap_err().is::<Silent>());
}

#[tokio::test]
async fn items_without_a_usable_name_are_left_out() {
    let (listing, _) = fetched(|call, _| {
        Ok(result(match call.method.as_str() {
            "server/discover" => r#"{"capabilities":{"tools":{}}}"#,
            _ => r#"{"tools":[1,null,[],{},{"name":""},{"name":7},{"name":"a","name":"b"},{"name":"ok"},{"name":"\ud800"}]}"#,
        }))
    })
    .await;
    assert_eq!(keys(&listing.unwrap(), Kind::Tools), ["ok"]);
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.fetch_add(usize::from(*event.metadata().level() == tracing::Level::WARN), Relaxed);
    }

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

#[tokio::test]
async fn items_that_are_left_out_cost_one_line_and_count_as_items() {
    let warnings = Warnings::default();
    let _logging = tracing::subscriber::set_default(warnings.clone());
    let script = |call: &Call, cursor: Option<String>| {
        Ok(match (call.method.as_str(), cursor) {
            ("server/discover", _) => result(r#"{"capabilities":{"tools":{}}}"#),
            (_, None) => result(r#"{"tools":[1,2,3,{"name":"a"}],"nextCursor":"2"}"#),
            _ => result(r#"{"tools":[4,5,{"name":"b"},{"name":"c"}]}"#),
        })
    };
    let listing = fetch(scripted(script).0, &Terms::default(), None).await.unwrap();
    assert_eq!(keys(&listing, Kind::Tools), ["a", "b", "c"]);
    assert_eq!(warnings.0.load(Relaxed), 1);
    let terms = Terms { max_items: 7, ..Terms::default() };
    let listing = fetch(scripted(script).0, &terms, None).await.unwrap();
    assert_eq!(keys(&listing, Kind::Tools), ["a", "b"]);
}

/// A message that came from a server, for as long as somebody keeps a part of it.
struct Message(String, Arc<AtomicUsize>);

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Relaxed);
    }
}

#[tokio::test]
async fn a_listing_keeps_nothing_of_the_messages_it_came_in() {
    let kept = Arc::new(AtomicUsize::new(0));
    let count = kept.clone();
    let (listing, _) = fetched(move |call, cursor| {
        let result = match (call.method.as_str(), cursor) {
            ("server/discover", _) => ALL,
            ("tools/list", None) => r#"{"tools":[{"name":"a"}],"nextCursor":"2"}"#,
            ("tools/list", _) => r#"{"tools":[{"name":"b"}]}"#,
            ("prompts/list", _) => r#"{"prompts":[{"name":"p"}]}"#,
            _ => return Ok(refused(-32601)),
        };
        count.fetch_add(1, Relaxed);
        let message = format!(r#"{{"junk":"{}","result":{result}}}"#, "x".repeat(1 << 10));
        let message = Json::parse(Bytes::from_owner(Message(message, count.clone()))).unwrap();
        Ok(Outcome::Result(message.member("result").unwrap()).into())
    })
    .await;
    let listing = listing.unwrap();
    assert_eq!((keys(&listing, Kind::Tools), keys(&listing, Kind::Prompts)), (vec!["a", "b"], vec!["p"]));
    assert_eq!(kept.load(Relaxed), 0, "messages that are kept");
}

#[tokio::test]
async fn names_as_large_as_messages_are_left_out() {
    let (listing, _) = fetched(|call, _| {
        let item = |key: &str, length: usize| format!(r#"{{"{key}":"{}"}}"#, "_".repeat(length));
        let items = |key, longest| format!("{},{}", item(key, longest), item(key, longest + 1));
        Ok(result(&match call.method.as_str() {
            "server/discover" => ALL.to_owned(),
            "tools/list" => format!(r#"{{"tools":[{}]}}"#, items("name", 1 << 10)),
            "prompts/list" => format!(r#"{{"prompts":[{}]}}"#, items("name", 1 << 10)),
            "resources/list" => format!(r#"{{"resources":[{}]}}"#, items("uri", 64 << 10)),
            _ => format!(r#"{{"resourceTemplates":[{}]}}"#, items("uriTemplate", 64 << 10)),
        }))
    })
    .await;
    let listing = listing.unwrap();
    for (kind, longest) in Kind::ALL.into_iter().zip([1 << 10, 1 << 10, 64 << 10, 64 << 10]) {
        let lengths: Vec<_> = keys(&listing, kind).iter().map(|key| key.len()).collect();
        assert_eq!(lengths, [longest], "{kind:?}");
    }
}

#[tokio::test]
async fn ten_thousand_tools_over_two_hundred_pages_arrive_in_order() {
    let (listing, asked) = fetched(|call, cursor| {
        if call.method == crate::Method::DISCOVER {
            return Ok(result(r#"{"capabilities":{"tools":{}}}"#));
        }
        let page: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let tools: Vec<_> = (page * 50..page * 50 + 50).map(|n| format!(r#"{{"name":"t{n}"}}"#)).collect();
        let next = if page < 199 { format!(r#","nextCursor":"{}""#, page + 1) } else { String::new() };
        Ok(result(&format!(r#"{{"tools":[{}]{next}}}"#, tools.join(","))))
    })
    .await;
    let listing = listing.unwrap();
    let names = keys(&listing, Kind::Tools);
    assert_eq!(names.len(), 10_000);
    assert!(names.iter().enumerate().all(|(n, name)| *name == format!("t{n}")));
    assert_eq!(asked.len(), 201);
}

#[tokio::test]
async fn over_http_tools_with_invalid_headers_are_left_out_and_only_those() {
    for (http, versions, expected) in [
        (true, r#"["2026-07-28"]"#, &["good", "plain"][..]),
        (true, r#"["2025-11-25"]"#, &["good", "bad", "plain"]),
        (false, r#"["2026-07-28"]"#, &["good", "bad", "plain"]),
    ] {
        let (service, _) = scripted(move |call, _| {
            Ok(match call.method.as_str() {
                "server/discover" => {
                    result(&format!(r#"{{"supportedVersions":{versions},"capabilities":{{"tools":{{}}}}}}"#))
                }
                _ => result(
                    r#"{"tools":[
                        {"name":"good","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}},
                        {"name":"bad","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}},
                        {"name":"plain","inputSchema":{}}]}"#,
                ),
            })
        });
        let terms = Terms { http, ..Terms::default() };
        let listing = fetch(service, &terms, None).await.unwrap();
        assert_eq!(keys(&listing, Kind::Tools), expected, "{http} {versions}");
        let part = crate::catalog::Part::new("s", ()).listed("s-1", std::sync::Arc::new(listing));
        let table = crate::catalog::Merge::new("gw", "1").table(&[part], None);
        let notices: Vec<_> = table.notices().iter().map(ToString::to_string).collect();
        assert_eq!(notices.iter().any(|notice| notice.contains("\"bad\"")), expected.len() == 2, "{notices:?}");
    }
}
