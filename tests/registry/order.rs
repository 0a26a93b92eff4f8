//! Whose a tool is that several servers have: told by the configuration, and by nothing that happens.

use crate::{
    fleet::{Fleet, Mode, server, tool, who},
    listed, send, start_with, status,
};
use tower_mcp_gateway::registry::{Registry, Server, Status};

const SERVERS: [&str; 3] = ["a", "b", "c"];

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn servers() -> [Server; 3] {
    SERVERS.map(|name| server(name, name))
}

/// Which server answers a call of this name.
async fn answers(registry: &Registry, name: &str) -> Result<String, String> {
    match send(registry, tool(name)).await {
        Ok(reply) => Ok(who(reply).await),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_several_servers_is_the_first_ones_in_whatever_order_they_were_listed() {
    for order in ORDERS {
        let fleet = Fleet::default();
        for name in SERVERS {
            fleet.peer(name).lists(["shared"]).set(Mode::Hung);
        }
        let (registry, _driver) = start_with(&fleet, servers());
        for place in order {
            fleet.peer(SERVERS[place]).set(Mode::Up);
            listed(&registry, SERVERS[place]).await;
        }
        assert_eq!(answers(&registry, "shared").await.as_deref(), Ok("a"), "listed in the order {order:?}");
        for name in SERVERS {
            let qualified = format!("{name}__shared");
            assert_eq!(answers(&registry, &qualified).await.as_deref(), Ok(name), "listed in the order {order:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_several_servers_is_the_first_ones_whoever_of_them_is_down() {
    for down in 0..8u8 {
        let fleet = Fleet::default();
        for name in SERVERS {
            fleet.peer(name).lists(["shared"]);
        }
        let (registry, _driver) = start_with(&fleet, servers());
        for name in SERVERS {
            listed(&registry, name).await;
        }
        let ill = |place: usize| down & (1 << place) != 0;
        for (place, name) in SERVERS.into_iter().enumerate().filter(|(place, _)| ill(*place)) {
            fleet.peer(name).set(Mode::Down);
            status(&registry, name, Status::Error).await;
            assert_eq!(fleet.peer(SERVERS[place]).calls(), 0);
        }
        for _ in 0..3 {
            let answered = answers(&registry, "shared").await;
            match ill(0) {
                true => assert!(answered.is_err(), "{down:03b}: another one's tool of that name: {answered:?}"),
                false => assert_eq!(answered.as_deref(), Ok("a"), "{down:03b}"),
            }
        }
        assert_eq!((fleet.peer("b").calls(), fleet.peer("c").calls()), (0, 0), "{down:03b}");
        for name in SERVERS {
            fleet.peer(name).set(Mode::Up);
            status(&registry, name, Status::Connected).await;
        }
        assert_eq!(answers(&registry, "shared").await.as_deref(), Ok("a"), "{down:03b}, and back");
    }
}

/// The server that is listed first does not get the name of one before it, which may still be on its way; once the time
/// to start is over, it does.
#[tokio::test(start_paused = true)]
async fn at_start_a_name_waits_for_whoever_has_the_first_claim_to_it_and_no_longer() {
    let fleet = Fleet::default();
    fleet.peer("a").lists(["shared"]).set(Mode::Hung);
    fleet.peer("b").lists(["shared", "own"]);
    let (registry, _driver) = start_with(&fleet, ["a", "b"].map(|name| server(name, name)));
    listed(&registry, "b").await;
    assert_eq!(answers(&registry, "b__shared").await.as_deref(), Ok("b"), "nobody else's name");
    assert!(!registry.tables().is_settled());
    assert_eq!(answers(&registry, "shared").await.as_deref(), Ok("b"));
    assert!(registry.tables().is_settled(), "the answer came when nobody was waited for any more");
    assert_eq!(answers(&registry, "own").await.as_deref(), Ok("b"));
}
