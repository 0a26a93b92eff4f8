//! docs/operations.md says what the program does, as far as that can be seen without a machine to operate.

use crate::{
    commands::{Started, http},
    pages::{Block, page, table},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio::time::Instant;
use tower_mcp_gateway::{
    config::Config,
    metrics::{Count, Family},
};

/// What the program takes to end after `drainTimeout`.
const AFTER_DRAIN: Duration = Duration::from_secs(2);

fn block(language: &str) -> Block {
    let mut blocks = page("docs/operations.md").blocks().into_iter().filter(|block| block.language == language);
    blocks.next().unwrap_or_else(|| panic!("no block of {language}"))
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operations").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The arguments after the name of the program, with another configuration.
fn arguments(line: &str, config: &str) -> Vec<String> {
    let mut words = line.split_whitespace().skip_while(|word| !word.ends_with("/tower-mcp-gateway"));
    words.next().expect(line);
    let place = |word: &str| if word.ends_with(".json") { config.to_owned() } else { word.to_owned() };
    words.map(place).collect()
}

#[test]
fn the_unit_starts_the_program_and_gives_it_time_to_end() {
    let unit = block("ini").text;
    let setting = |name: &str| {
        unit.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap_or_else(|| panic!("no {name}"))
    };
    let words = arguments(setting("ExecStart"), "mcp.json");
    drop(Started::by(&words.iter().map(String::as_str).collect::<Vec<_>>()));
    let seconds = Duration::from_secs(setting("TimeoutStopSec").parse().unwrap());
    assert!(seconds > Config::default().limits.drain_timeout + AFTER_DRAIN);
    // Where the program keeps its state is the one folder that it may write to.
    assert!(setting("Environment").contains("XDG_STATE_HOME=%S "));
    assert_eq!(setting("StateDirectory"), "tower-mcp-gateway");
    assert!(setting("ExecReload").contains("-HUP"));

    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    }
    let file = folder("systemd").join("tower-mcp-gateway.service");
    fs::write(&file, unit.replace("/usr/local/bin/tower-mcp-gateway", env!("CARGO_BIN_EXE_tower-mcp-gateway")))
        .unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let own = said.lines().filter(|line| line.contains("tower-mcp-gateway.service")).collect::<Vec<_>>();
    assert!(output.status.success() && own.is_empty(), "{said}");
}

/// The words of an ENTRYPOINT.
fn entrypoint() -> Vec<String> {
    let file = block("dockerfile").text;
    let line = file.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).unwrap();
    serde_json::from_str(line).unwrap()
}

#[test]
fn the_container_is_built_and_started_as_the_program_is() {
    let file = block("dockerfile").text;
    assert!(file.contains(&format!("FROM rust:{}", env!("CARGO_PKG_RUST_VERSION"))));
    assert!(file.contains(&format!("EXPOSE {}\n", Config::default().port)));
    let script = "packaging/pgo";
    assert!(
        file.contains(&format!("&& {script}\n")) && file.contains("--from=build /src/target/pgo/tower-mcp-gateway ")
    );
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).unwrap();
    assert!(script.contains("out=$PWD/target/pgo\n") && script.contains("\"$out/tower-mcp-gateway\"\n"));
    let line = entrypoint().join(" ").replace(" tower-mcp-gateway ", " /tower-mcp-gateway ");
    let words = arguments(&line, "mcp.json");
    drop(Started::by(&words.iter().map(String::as_str).collect::<Vec<_>>()));
}

struct Manifests {
    config: Value,
    deployment: Value,
    service: Value,
}

fn manifests() -> Manifests {
    let all: Vec<Value> = serde_saphyr::from_multiple(&block("yaml").text).unwrap();
    let of = |kind: &str| all.iter().find(|one| one["kind"] == kind).cloned().unwrap_or_else(|| panic!("no {kind}"));
    Manifests { config: of("ConfigMap"), deployment: of("Deployment"), service: of("Service") }
}

/// The configuration in the manifests, as a file that names servers of this machine.
fn configuration(config: &Value) -> PathBuf {
    let [(name, text)] = &config["data"].as_object().unwrap().iter().collect::<Vec<_>>()[..] else {
        panic!("{config}")
    };
    // Nobody listens there, and nobody outside of this machine is asked.
    let text = text.as_str().unwrap().replace(".tools.svc.cluster.local:8080", ".localhost:9");
    // Ports of this test's own, on this machine alone.
    let text = text.replace("\"0.0.0.0\"", "\"127.0.0.1\"").replace("\"port\": 4001", "\"port\": 0");
    let file = folder("kubernetes").join(name);
    fs::write(&file, text.replace("search.localhost", "127.0.0.1").replace("files.localhost", "127.0.0.1")).unwrap();
    file
}

#[test]
fn the_manifests_fit_together() {
    let Manifests { config, deployment, service } = manifests();
    let spec = &deployment["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&deployment["spec"]["selector"]["matchLabels"], &service["spec"]["selector"]), (labels, labels));
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], Config::default().port);
    assert_eq!(container["ports"][1]["containerPort"], tower_mcp_gateway::config::Admin::PORT);
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], port["name"], "{probe}");
    }
    assert_eq!(service["spec"]["ports"][0]["targetPort"], port["name"]);
    let volume = &spec["volumes"][0];
    assert_eq!(container["volumeMounts"][0]["name"], volume["name"]);
    assert_eq!(volume["configMap"]["name"], config["metadata"]["name"]);
    let (folder, file) =
        (&container["volumeMounts"][0]["mountPath"], config["data"].as_object().unwrap().keys().next());
    assert_eq!(*entrypoint().last().unwrap(), format!("{}/{}", folder.as_str().unwrap(), file.unwrap()));
    assert!(container["image"].as_str().unwrap().ends_with(concat!(":", env!("CARGO_PKG_VERSION"))));

    let text = config["data"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
    let secret = |name: &str| Some(format!("{name}-is-long-enough-to-be-a-secret"));
    let read = Config::parse(text, secret).unwrap();
    assert!(read.host.is_unspecified() && read.admin.host.is_unspecified() && read.admin.auth.is_some());
    let stopping = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let given = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(Duration::from_secs(given - stopping) > read.limits.drain_timeout + AFTER_DRAIN);
    let made = page("docs/operations.md").text;
    for variable in text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap()) {
        assert!(made.contains(&format!("--from-literal={variable}=")), "nothing makes {variable}");
        assert!(made.contains(&format!("--env {variable}")), "the container gets no {variable}");
    }
}

#[test]
fn probes_are_answered_and_a_stop_is_in_time_without_a_folder_to_write_to() {
    let Manifests { config, deployment, .. } = manifests();
    let file = configuration(&config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
    command.args(["serve", "--port", "0", "--config"]).arg(&file).env("HOME", "/nonexistent");
    command
        .env("GATEWAY_KEY", "k".repeat(40))
        .env("AGENTS_TOKEN", "t".repeat(40))
        .env("METRICS_TOKEN", "m".repeat(40))
        .env_remove("XDG_STATE_HOME");
    let mut gateway = Started::as_told(command);
    let spec = &deployment["spec"]["template"]["spec"];
    let deadline = Instant::now() + Duration::from_secs(20);
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = spec["containers"][0][probe]["httpGet"]["path"].as_str().unwrap();
        while !http(&gateway.address, path).starts_with("HTTP/1.1 200 ") {
            assert!(Instant::now() < deadline, "{path} is not answered with 200");
        }
    }
    let given = Duration::from_secs(spec["terminationGracePeriodSeconds"].as_u64().unwrap());
    let began = Instant::now();
    assert!(Command::new("kill").arg(gateway.child.id().to_string()).status().unwrap().success());
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < given);
}

/// `name` → its type, from the lines that say so, and the labels of its samples.
fn shown(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut metrics: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        metrics.insert(name.into(), (kind.into(), BTreeSet::new()));
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, labels)) = line.split_once('{') else { continue };
        let labels =
            labels.split('}').next().unwrap().split(',').map(|label| label.split('=').next().unwrap().to_owned());
        let of_histogram = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        let name = if metrics.contains_key(name) { name } else { of_histogram };
        metrics.get_mut(name).unwrap().1.extend(labels.filter(|label| label != "le"));
    }
    metrics
}

#[test]
fn every_metric_is_on_the_page_and_no_other() {
    let gateway = Started::by(&[]);
    let answer = http(&gateway.admin, "/metrics");
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let shown = shown(text);
    let page = page("docs/operations.md");
    let mut written = BTreeSet::new();
    for row in table(page.section("## Metrics"), 0) {
        let name = row[0].trim_matches('`').to_owned();
        let (kind, labels) = shown.get(&name).unwrap_or_else(|| panic!("{name} is not at /metrics"));
        assert_eq!(row[1], *kind, "{name}");
        let said: BTreeSet<_> = row[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        // There is no server here, and so no sample of one.
        assert!(said == *labels || name.contains("_server_"), "{name}: {said:?} {labels:?}");
        written.insert(name);
    }
    assert_eq!(written, shown.into_keys().collect());
}

#[test]
fn every_value_of_a_label_is_on_the_page_and_no_other() {
    let page = page("docs/operations.md");
    let rows = table(page.section("## Metrics"), 1);
    assert_eq!(rows.len(), Family::ALL.len());
    for (row, family) in rows.iter().zip(Family::ALL) {
        let (name, label) = family.names();
        assert_eq!(row[0], format!("`{name}{{{label}}}`"));
        // What stands in parentheses are fields of the configuration.
        let said = row[1].split('`').skip(1).step_by(2).filter(|word| !word.contains(char::is_uppercase));
        let labels: Vec<_> =
            Count::ALL.iter().filter(|count| count.family() == family).map(|count| count.label()).collect();
        assert_eq!(said.collect::<Vec<_>>(), labels, "{name}");
    }
}
