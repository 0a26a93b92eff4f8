use super::{json, tools};
use crate::{
    Glob, Providers,
    catalog::{Freshness, Kind, Listing, Merge, Naming, Notice, Part},
    pin::{Pin, Review},
    policy::Policy,
    route::Table,
};
use serde_json::{Value, json as value};
use std::sync::{Arc, atomic::Ordering};

fn merge() -> Merge {
    Merge::new("gw", "1")
}

fn table(parts: &[Part<()>]) -> Table<()> {
    merge().table(parts, None)
}

fn listed(table: &Table<()>, kind: Kind) -> String {
    table.rendered().list(kind).member(kind.member()).unwrap().as_str().to_owned()
}

fn names(table: &Table<()>) -> Vec<String> {
    let tools: Vec<Value> = serde_json::from_str(&listed(table, Kind::Tools)).unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn endpoints(providers: Option<&Arc<Providers>>) -> Vec<&str> {
    providers.unwrap().endpoints().iter().map(|endpoint| endpoint.as_str()).collect()
}

/// A server of one endpoint that lists these tools.
fn part(server: &str, names: &[&str]) -> Part<()> {
    let items: Vec<Value> = names.iter().map(|name| value!({"name": name})).collect();
    Part::new(server, ()).listed(format!("{server}-1"), tools(&Value::from(items).to_string()))
}

/// What it shows, the naming, the servers with their tools, and the names clients see.
type Case = (&'static str, Naming, &'static [(&'static str, &'static [&'static str])], &'static [&'static str]);

#[test]
fn names_by_servers_and_naming() {
    let cases: &[Case] = &[
        ("nothing", Naming::Auto, &[], &[]),
        ("one server", Naming::Auto, &[("a", &["z", "y"])], &["z", "y"]),
        ("order of servers, then their own", Naming::Auto, &[("b", &["2", "1"]), ("a", &["0"])], &["2", "1", "0"]),
        ("the first keeps the name", Naming::Auto, &[("b", &["x"]), ("a", &["x", "y"])], &["x", "a__x", "y"]),
        ("three of one name", Naming::Auto, &[("a", &["x"]), ("b", &["x"]), ("c", &["x"])], &["x", "b__x", "c__x"]),
        ("twice in one list", Naming::Auto, &[("a", &["x", "x"])], &["x"]),
        ("all prefixed", Naming::Prefixed, &[("a", &["x"]), ("b", &["x", "y"])], &["a__x", "b__x", "b__y"]),
        ("odd server names", Naming::Prefixed, &[("a b/é", &["x"]), ("a.B-1_", &["x"])], &["a_b____x", "a.B-1___x"]),
        (
            "server names that look the same",
            Naming::Prefixed,
            &[("a b", &["x"]), ("a_b", &["x"])],
            &["a_b__x", "a_b-2__x"],
        ),
        ("its own prefix", Naming::Auto, &[("a", &["a__x"]), ("b", &["y"])], &["a__x", "y"]),
        ("another's prefix", Naming::Auto, &[("a", &["b__x", "c__x"]), ("b", &["x"])], &["a__b__x", "c__x", "x"]),
        (
            "another's prefix, empty names",
            Naming::Auto,
            &[("a", &["__", "___", "b__"]), ("b", &[])],
            &["__", "___", "a__b__"],
        ),
    ];
    for (case, naming, servers, expected) in cases {
        let parts: Vec<_> = servers.iter().map(|(server, names)| part(server, names)).collect();
        let table = merge().naming(*naming).table(&parts, None);
        assert_eq!(names(&table), *expected, "{case}");
        for (server, tools) in *servers {
            for tool in *tools {
                let backend = table.backends().iter().find(|backend| backend.server().as_str() == *server).unwrap();
                let target = table.tool(&backend.qualified(tool)).unwrap_or_else(|| panic!("{case}: {server} {tool}"));
                assert_eq!((target.server().as_str(), target.upstream_name()), (*server, Some(*tool)), "{case}");
            }
        }
    }
}

#[test]
fn a_collision_is_noticed_once_and_prefixes_by_choice_are_not() {
    let parts = [part("a", &["x"]), part("b", &["x"])];
    let renamed = Notice::Renamed { kind: "tool", server: "b".into(), name: "x".into(), exposed: "b__x".into() };
    let first = table(&parts);
    assert_eq!(first.notices().iter().collect::<Vec<_>>(), [&renamed]);
    assert_eq!(merge().table(&parts, Some(&first)).notices(), first.notices());
    assert!(merge().naming(Naming::Prefixed).table(&parts, None).notices().is_empty());
}

#[test]
fn a_tool_that_needs_a_task_is_hidden_and_reported() {
    let list =
        r#"[{"name":"a","execution":{"taskSupport":"required"}},{"name":"b","execution":{"taskSupport":"optional"}}]"#;
    let table = table(&[Part::new("s", ()).listed("s-1", tools(list))]);
    assert_eq!(names(&table), ["b"]);
    assert!(table.tool("a").is_none() && table.tool("s__a").is_none());
    let expected = Notice::NeedsTask { server: "s".into(), name: "a".into() };
    assert_eq!(table.notices().iter().collect::<Vec<_>>(), [&expected]);
}

#[test]
fn every_field_arrives_byte_for_byte_and_a_rename_changes_the_name_alone() {
    let odd = r#"{ "inputSchema" : {"$defs":{"é":1e400} , "n":9007199254740993}, "name":"x\u0041", "x-own":[1.0 ,"\u00e9"] }"#;
    let parts = [
        Part::new("a", ()).listed("a-1", tools(&format!("[ {odd} ]"))),
        Part::new("b", ()).listed("b-1", tools(&format!("[{odd}]"))),
    ];
    let table = table(&parts);
    let renamed =
        r#"{"inputSchema":{"$defs":{"é":1e400} , "n":9007199254740993},"name":"b__xA","x-own":[1.0 ,"\u00e9"]}"#;
    assert_eq!(listed(&table, Kind::Tools), format!("[{odd},{renamed}]"));
}

#[test]
fn replicas_offer_the_union_and_calls_go_to_those_that_list() {
    let new = tools(r#"[{"name":"x","v":2},{"name":"new"}]"#);
    let old = tools(r#"[{"name":"old"},{"name":"x","v":1}]"#);
    let part = Part::new("s", ()).listed("s-1", new).unlisted("s-2").listed("s-3", old);
    let table = table(&[part]);
    assert_eq!(listed(&table, Kind::Tools), r#"[{"name":"x","v":2},{"name":"new"},{"name":"old"}]"#);
    let providers = |name| endpoints(table.tool(name).unwrap().providers_of());
    assert_eq!(providers("x"), ["s-1", "s-3"]);
    assert_eq!(providers("new"), ["s-1"]);
    assert_eq!(providers("s__old"), ["s-3"]);
    assert!(table.unlisted().is_empty(), "one of its endpoints was listed");
}

#[test]
fn turns_go_on_as_long_as_the_providers_stay() {
    let two = |names: &[&str]| part("s", names).listed("s-2", tools(r#"[{"name":"x"}]"#));
    let first = table(&[two(&["x", "y"])]);
    first.tool("x").unwrap().providers_of().unwrap().turn.store(7, Ordering::Relaxed);
    let turn = |table: &Table<()>| table.tool("x").unwrap().providers_of().unwrap().turn.load(Ordering::Relaxed);
    let second = merge().table(&[part("other", &["z"]), two(&["x"])], Some(&first));
    assert_eq!(turn(&second), 7);
    let fewer = merge().table(&[part("s", &["x"])], Some(&second));
    assert_eq!(turn(&fewer), 0);
}

#[test]
fn resources_keep_their_uris_and_all_who_have_one_stay_reachable() {
    let listing = |v: u8| {
        let resources = json(&format!(r#"[{{"uri":"r://1","v":{v}}}]"#));
        let templates = json(&format!(r#"[{{"uriTemplate":"t://{{x}}","v":{v}}}]"#));
        Arc::new(Listing::default().with(Kind::Resources, resources).with(Kind::Templates, templates))
    };
    let parts = [Part::new("a", ()).listed("a-1", listing(1)), Part::new("b", ()).listed("b-1", listing(2))];
    let table = table(&parts);
    assert_eq!(listed(&table, Kind::Resources), r#"[{"uri":"r://1","v":1}]"#);
    assert_eq!(listed(&table, Kind::Templates), r#"[{"uriTemplate":"t://{x}","v":1}]"#);
    for uri in ["r://1", "t://7"] {
        let servers: Vec<_> = table.resource(uri).iter().map(|target| target.server().as_str()).collect();
        assert_eq!(servers, ["a", "b"], "{uri}");
    }
    assert!(table.resource("r://2").is_empty());
    assert_eq!(table.template("t://{x}").unwrap().server().as_str(), "a");
    assert_eq!(table.notices().len(), 2);
}

#[test]
fn a_server_never_listed_is_named() {
    let table = table(&[part("a", &[]), Part::new("b", ()).unlisted("b-1"), Part::new("c", ())]);
    assert_eq!(table.unlisted().iter().map(|server| server.as_str()).collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn discover_says_what_is_served() {
    let discovered = |text: &str, instructions: Option<&str>| {
        let listing = Listing::default().capable(json(text));
        Arc::new(Listing { instructions: instructions.map(Into::into), ..listing })
    };
    let one = discovered(
        r#"{"logging":{"x":1},"tasks":{},"completions":{},"extensions":{"x/ui":{"n":1.0},"io.modelcontextprotocol/tasks":{}}}"#,
        Some("Search first."),
    );
    let two =
        discovered(r#"{"resources":{"subscribe":true},"extensions":{"x/ui":{"n":2},"a/b":{}}}"#, Some("Then read."));
    let three = discovered(r#"{"extensions":7}"#, None);
    let parts = [
        Part::new("search", ()).listed("s-1", one.clone()),
        Part::new("files", ()).listed("f-1", two),
        Part::new("odd", ()).listed("o-1", three),
    ];
    let found: Value = table(&parts).rendered().discover().read().unwrap();
    let changed = value!({"listChanged": true});
    assert_eq!(
        found,
        value!({
            "supportedVersions": ["2026-07-28"],
            "capabilities": {
                "tools": changed, "prompts": changed, "resources": {"listChanged": true, "subscribe": true},
                "completions": {}, "logging": {},
                "extensions": {"x/ui": {"n": 1.0}, "a/b": {}},
            },
            "instructions": "## search\n\nSearch first.\n\n## files\n\nThen read.",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "gw", "version": "1"}},
            "ttlMs": 0, "cacheScope": "private", "resultType": "complete",
        })
    );
    let alone: Value = table(&[Part::new("search", ()).listed("s-1", one)]).rendered().discover().read().unwrap();
    assert_eq!(alone["instructions"], "Search first.");
}

#[test]
fn what_no_server_does_is_not_advertised() {
    let part = Part::new("s", ()).listed("s-1", Arc::new(Listing::default().capable(json(r#"{"logging":null}"#))));
    let found: Value = table(&[part]).rendered().discover().read().unwrap();
    let changed = value!({"listChanged": true});
    assert_eq!(found["capabilities"], value!({"tools": changed, "prompts": changed, "resources": changed}));
}

#[test]
fn each_era_sees_tools_in_its_own_words() {
    let plain = r#"{ "name":"plain" , "n":1.0}"#;
    let task = r#"{"name":"task","execution":{"taskSupport":"optional"}, "outputSchema":{"type":"object"}}"#;
    let array = r#"{"name":"array","outputSchema":{"type":"array"}}"#;
    let table = table(&[Part::new("s", ()).listed("s-1", tools(&format!("[{plain},{task},{array}]")))]);
    let modern_task = r#"{"name":"task","outputSchema":{"type":"object"}}"#;
    assert_eq!(listed(&table, Kind::Tools), format!("[{plain},{modern_task},{array}]"));
    let early = table.rendered().early_tools().member("tools").unwrap();
    assert_eq!(early.as_str(), format!(r#"[{plain},{task},{{"name":"array"}}]"#));
}

#[test]
fn long_names_of_tools_are_short_for_models_and_called_by_either() {
    let long = "x".repeat(70);
    let fits = "y".repeat(62);
    let parts = [part("a", &[&long, &fits]), part("b", &[&long, &fits])];
    let first = table(&parts);
    let names = names(&first);
    assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
    assert_eq!(names[1], fits);
    assert!(names[2].starts_with("b__xxx") && names[3].starts_with("b__yyy"), "{names:?}");
    for (server, full) in [("a", &long), ("b", &long), ("a", &fits), ("b", &fits)] {
        let target = first.tool(&format!("{server}__{full}")).unwrap();
        assert_eq!((target.server().as_str(), target.upstream_name()), (server, Some(&**full)));
    }
    assert_eq!(first.tool(&long).unwrap().upstream_name(), Some(&*long));
    for name in &names {
        assert!(first.tool(name).is_some());
    }
    let again = merge().table(&parts, Some(&first));
    assert_eq!(again.rendered(), first.rendered(), "the same in every table");
    let notice = Notice::Shortened { server: "a".into(), name: (*long).into(), exposed: (*names[0]).into() };
    assert!(first.notices().contains(&notice));
    let prompts = Listing::default().with(Kind::Prompts, json(&format!(r#"[{{"name":"{long}"}}]"#)));
    let prompts = table(&[Part::new("a", ()).listed("a-1", Arc::new(prompts))]);
    assert!(listed(&prompts, Kind::Prompts).contains(&long), "no model calls a prompt");
}

#[test]
fn a_list_is_as_fresh_and_as_public_as_its_worst_part() {
    let fresh = |ttl_ms, public| {
        let mut listing = Listing::default();
        listing.lists[Kind::Tools as usize].freshness = Some(Freshness { ttl_ms, public });
        Arc::new(listing)
    };
    for (parts, expected) in [
        (&[][..], (0, "private")),
        (&[(500, true)], (500, "public")),
        (&[(500, true), (90, true)], (90, "public")),
        (&[(500, false), (900, true)], (500, "private")),
        (&[(500, true), (0, false)], (0, "private")),
    ] {
        // A server without such a list has no say in it.
        let mute = Part::new("mute", ()).listed("e", Arc::new(Listing::default()));
        let mut parts: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(n, (ttl, public))| Part::new(format!("s{n}"), ()).listed("e", fresh(*ttl, *public)))
            .collect();
        parts.push(mute);
        let list: Value = table(&parts).rendered().list(Kind::Tools).read().unwrap();
        assert_eq!((list["ttlMs"].as_u64().unwrap(), list["cacheScope"].as_str().unwrap()), expected);
        assert_eq!(list["resultType"], "complete");
    }
}

#[test]
fn ten_thousand_tools_of_two_servers_are_merged_and_each_leads_home() {
    let many: Vec<Value> = (0..10_000).map(|n| value!({"name": format!("tool_{n}"), "inputSchema": {}})).collect();
    let listing = tools(&Value::from(many).to_string());
    let parts = ["a", "b"].map(|server| {
        Part::new(server, ())
            .listed(format!("{server}-1"), listing.clone())
            .listed(format!("{server}-2"), listing.clone())
    });
    let table = table(&parts);
    assert_eq!(names(&table).len(), 20_000);
    let target = table.tool("b__tool_9999").unwrap();
    assert_eq!((target.server().as_str(), target.upstream_name()), ("b", Some("tool_9999")));
    assert_eq!(endpoints(target.providers_of()), ["b-1", "b-2"]);
}

#[test]
fn a_qualified_name_leads_to_the_server_with_the_longest_prefix() {
    for naming in [Naming::Auto, Naming::Prefixed] {
        let parts = [
            Part::new("a", ()).listed("a", tools(r#"[{"name":"b__c"},{"name":"d"}]"#)),
            Part::new("a__b", ()).listed("b", tools(r#"[{"name":"c"}]"#)),
        ];
        let table = Merge::new("test", "1").naming(naming).table(&parts, None);
        assert_eq!(table.tool("a__b__c").unwrap().server().as_str(), "a__b", "{naming:?}");
        assert_eq!(table.tool("a__d").unwrap().server().as_str(), "a", "{naming:?}");
    }
}

#[test]
fn a_name_stays_that_of_a_tool_which_is_withheld() {
    let slow = tools(r#"[{"name":"slow"},{"name":"fast"}]"#);
    let review = Review { same: vec![false, true], ..Review::default() };
    let withheld = Arc::new(slow.reviewed(review, Pin::Block));
    let parts = |first| [Part::new("a", ()).listed("a", first), Part::new("b", ()).listed("b", slow.clone())];
    let leads = |table: &Table<()>, name: &str| table.tool(name).map(|target| target.server().to_string());

    let before = Merge::new("test", "1").table(&parts(slow.clone()), None);
    assert_eq!(leads(&before, "slow").as_deref(), Some("a"));
    let table = Merge::new("test", "1").table(&parts(withheld), Some(&before));
    assert_eq!(leads(&table, "slow"), None);
    assert_eq!([leads(&table, "b__slow").as_deref(), leads(&table, "fast").as_deref()], [Some("b"), Some("a")]);
}

#[test]
fn no_server_names_a_tool_into_what_a_policy_allows_of_another() {
    let parts = [
        Part::new("files", ()).listed("files", tools(r#"[{"name":"read"},{"name":"write"}]"#)),
        Part::new("evil", ())
            .listed("evil", tools(r#"[{"name":"files__read"},{"name":"files__x"},{"name":"search"}]"#)),
    ];
    let merge = Merge::new("test", "1");
    let table = merge.table(&parts, None);
    let policy = Policy::new("readers").tools([Glob::new("files__*"), Glob::new("search")]);
    let view = merge.restricted(&table, &parts, policy.rules());
    let seen = ["read", "write", "search", "evil__files__x", "evil__files__read"].map(|name| view.tool(name).is_some());
    assert_eq!(seen, [true, true, true, false, false]);
    let backend = &view.backends()[1];
    assert!(!backend.may_have(Kind::Tools, "files__more") && backend.may_have(Kind::Tools, "search"));
}
