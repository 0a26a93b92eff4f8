//! Servers come, go, change and fail at random; an oracle knows what must be listed and who may answer.

use crate::{
    House,
    fleet::{Fleet, Mode, server, tool, who},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::sleep;
use tower_mcp_gateway::error::explain;

/// Long enough for every check, listing and pause that an action sets off.
const QUIET: Duration = Duration::from_secs(40);

/// What is known of one registered server.
#[derive(Default)]
struct Known {
    /// The tools of its last listing; none if it was never listed.
    listed: Option<BTreeSet<String>>,
}

struct Walk {
    house: House,
    /// What every server that may be registered offers at present, and whether it is up.
    offers: BTreeMap<String, (BTreeSet<String>, bool)>,
    registered: BTreeMap<String, Known>,
    /// Those that something happened to since it was quiet: what they were listed with meanwhile is a matter of chance.
    restless: BTreeSet<String>,
}

/// Two pools of three; tools of different pools never share a name.
fn pool_of(id: &str) -> &str {
    &id[..1]
}

impl Walk {
    fn new() -> Self {
        let fleet = Fleet::default();
        let ids = ["a1", "a2", "a3", "b1", "b2", "b3"];
        let offers = ids.map(|id| {
            fleet.peer(id).lists([]);
            (id.to_owned(), (BTreeSet::new(), true))
        });
        Self {
            house: House::begin(&fleet, []),
            offers: offers.into(),
            registered: BTreeMap::new(),
            restless: BTreeSet::new(),
        }
    }

    fn act(&mut self) {
        let id = self.offers.keys().nth(fastrand::usize(..6)).unwrap().clone();
        let peer = self.house.fleet.peer(&id);
        let registry = &self.house.registry;
        let is_restless = !self.restless.insert(id.clone());
        match fastrand::u8(..10) {
            0..3 if self.registered.contains_key(&id) => {
                registry.unregister(&id).unwrap();
                self.registered.remove(&id);
            }
            0..5 if !self.registered.contains_key(&id) => {
                registry.register(server(&id, pool_of(&id))).unwrap();
                self.registered.insert(id, Known::default());
            }
            5..8 => {
                let tools = ["x", "y", "z"].map(|tool| format!("{}_{tool}", pool_of(&id)));
                let tools: Vec<_> = tools.into_iter().filter(|_| fastrand::bool()).collect();
                match &tools[..] {
                    [] => peer.lists([]),
                    [x] => peer.lists([x]),
                    [x, y] => peer.lists([x, y]),
                    [x, y, z] => peer.lists([x, y, z]),
                    _ => unreachable!(),
                };
                self.offers.get_mut(&id).unwrap().0 = tools.into_iter().collect();
            }
            // Gone at once, it would leave open whether the last it offered was seen.
            _ if is_restless && self.offers[&id].1 => {}
            _ => {
                let up = &mut self.offers.get_mut(&id).unwrap().1;
                *up = !*up;
                peer.set(if *up { Mode::Up } else { Mode::Down });
            }
        }
    }

    /// What the registry has learned once it is quiet: those that are up are listed, the others stand as they were.
    fn learn(&mut self) {
        self.restless.clear();
        for (id, known) in &mut self.registered {
            let (tools, up) = &self.offers[id];
            if *up {
                known.listed = Some(tools.clone());
            }
        }
    }

    fn providers(&self, tool: &str) -> Vec<&str> {
        let lists = |known: &Known| known.listed.as_ref().is_some_and(|tools| tools.contains(tool));
        self.registered.iter().filter(|(_, known)| lists(known)).map(|(id, _)| id.as_str()).collect()
    }

    async fn check(&self) {
        let listed: BTreeSet<_> = self.house.tools().await.into_iter().collect();
        let expected: BTreeSet<_> =
            self.registered.values().filter_map(|known| known.listed.clone()).flatten().collect();
        assert_eq!(listed, expected);
        for name in &listed {
            let up: Vec<_> = self.providers(name).into_iter().filter(|id| self.offers[*id].1).collect();
            match self.house.send(tool(name)).await {
                Ok(reply) => assert!(up.contains(&who(reply).await.as_str()), "{name}"),
                Err(error) => {
                    assert!(up.is_empty(), "{name}: {error}");
                    assert_eq!(explain(&*error).status, 503, "{error}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_can_be_called_whatever_happens() {
    for seed in 0..5 {
        fastrand::seed(seed);
        let mut walk = Walk::new();
        for _ in 0..60 {
            for _ in 0..fastrand::usize(1..4) {
                walk.act();
                // No quiet here: what one moment lists, the same moment routes.
                let listed = walk.house.tools().await;
                let tables = walk.house.registry.tables();
                assert!(listed.iter().all(|name| tables.load().tool(name).is_some()));
                sleep(Duration::from_millis(fastrand::u64(..30))).await;
            }
            sleep(QUIET).await;
            walk.learn();
            walk.check().await;
        }
    }
}
