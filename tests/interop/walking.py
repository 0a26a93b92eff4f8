"""Walks: each client, one server behind the gateway at a time, and every feature that crosses between the eras."""

import json
import tempfile
from pathlib import Path

import walks
from gateway import Gateway, binary
from peers import EVERYTHING, NODE, Client, Server
from setup import PYTHON
from walks import Step

TS, PY = [NODE, "clients/walk.mjs"], [str(PYTHON), "clients/walk.py"]


def servers() -> list[tuple[Server, list[Step]]]:
    found = []
    for name, wire, path in [("everything-stdio", "stdio", ""), ("everything-sse", "sse", "/sse"), ("everything-http", "http", "/mcp")]:
        word = {"http": "streamableHttp"}.get(wire, wire)
        found.append((Server(name, wire, set(), [NODE, *EVERYTHING, word], path, []), walks.EVERYTHING))
    kinds = [("stdio", "legacy"), ("stdio", "modern"), ("http", "both"), ("http", "modern"), ("http", "sessions")]
    for wire, eras in kinds:
        command = [NODE, "servers/asking.mjs", wire, eras]
        found.append((Server(f"asking-{wire}-{eras}", wire, set(), command, "", []), walks.ASKING))
    for wire, path in [("stdio", ""), ("http", "/mcp")]:
        found.append((Server(f"python-{wire}", wire, set(), [str(PYTHON), "servers/asking.py", wire], path, []), walks.PYTHON))
    return found


def clients() -> list[Client]:
    found = []
    for version, mode, transport in [
        *[("v1", "legacy", "http"), ("v1", "legacy", "sse"), ("v1", "legacy", "stdio")],
        *[("v2", "legacy", "http"), ("v2", "modern", "http"), ("v2", "modern", "stdio")],
    ]:
        found.append(Client(f"ts-{version}-{mode}-{transport}", TS, {"client": version, "mode": mode}, transport))
    for mode, transport in [("legacy", "http"), ("modern", "http"), ("legacy", "sse"), ("legacy", "stdio"), ("auto", "stdio")]:
        found.append(Client(f"python-{mode}-{transport}", PY, {"client": "python", "mode": mode}, transport))
    return found


def walk(report) -> None:
    for server, steps in servers():
        try:
            server.start()
            visit(server, steps, report)
        finally:
            if server.process:
                server.process.stop(5)


def visit(server: Server, steps: list[Step], report) -> None:
    entries = {server.name: server.entry()}
    with Gateway(entries) as gateway, tempfile.TemporaryDirectory() as folder:
        gateway.wait({"echo" if steps is walks.EVERYTHING else "ask"})
        config = Path(folder) / "gateway.json"
        config.write_text(json.dumps({"name": "gateway", "mcpServers": entries}))
        for client in clients():
            url = f"http://127.0.0.1:{gateway.port}{'/sse' if client.transport == 'sse' else '/mcp'}"
            wire = {"transport": client.transport, "url": url}
            wire |= {"command": binary(), "args": ["--stdio", "--config", str(config)]}
            found = client.run({**client.options, **wire, "steps": [step.does for step in steps]})
            report.add(client.name, server.name, judge(client, steps, *found))


def judge(client: Client, steps: list[Step], report: dict | None, said: str) -> list[str]:
    if report is None:
        return [said]
    problems = []
    for step, found in zip(steps, report["steps"], strict=True):
        wanted = step.wanted("legacy" if client.options["mode"] == "legacy" else "modern")
        if not fits(wanted, found, client, step):
            problems.append(f"{step.does}: wanted {wanted}, found {found}")
    return problems


def fits(wanted, found, client: Client, step: Step) -> bool:
    if step.does["step"] == "progress" and client.may_forget_last(client.transport):
        return wanted == found or {**wanted, "progress": wanted["progress"][:-1]} == found
    return wanted == found
