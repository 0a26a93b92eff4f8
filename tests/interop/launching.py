"""The gateway as a stdio server: every client launches one of its own, as desktop clients do."""

import json
import os
import shlex
import tempfile
import time
import uuid
from pathlib import Path

from gateway import binary
from peers import Client, Server, clients
from processes import alive

PATIENCE = 45_000
"""Milliseconds the first list waits for servers that start: they are cold, and there are many."""
LEAVE = 15
"""Seconds until nothing of a gateway may be left after its client has gone."""


def launch(behind: list[Server], report, judge) -> None:
    """One session of each client with a gateway that it has launched itself, over the servers of `behind`."""
    for client in clients():
        # What differs is the client's own wire, and here there is one.
        if client.transport == "http":
            with tempfile.TemporaryDirectory() as folder:
                session(client, behind, Path(folder), report, judge)


def session(client: Client, behind: list[Server], folder: Path, report, judge) -> None:
    mark = f"LAUNCHED_BY={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    entries = {server.name: marked(server.entry(), name, value) for server in behind}
    config = folder / "tower-mcp-gateway.json"
    config.write_text(json.dumps({"naming": "prefixed", "startPatience": PATIENCE, "mcpServers": entries}))
    # The SDKs say nothing of the process they start; the shell does, and is then the gateway itself.
    line = f"echo $$ > {shlex.quote(str(folder / 'pid'))}; exec {shlex.quote(binary())} serve --stdio --config {shlex.quote(str(config))}"
    wire = {"transport": "stdio", "command": "/bin/sh", "args": ["-c", line]}
    found = client.run(client.errand(wire, [(f"{server.name}__", call) for server in behind for call in server.calls]))
    for server in behind:
        report.add(f"launched by {client.name}", server.name, judge(server, client, "stdio", f"{server.name}__", *found))
    report.add(f"launched by {client.name}", "leaves nothing", left(int((folder / "pid").read_text()), mark))


def marked(entry: dict, name: str, value: str) -> dict:
    return {**entry, "env": {name: value}} if "command" in entry else entry


def left(gateway: int, mark: str) -> list[str]:
    """The processes that are still there when they must have ended."""
    deadline = time.monotonic() + LEAVE
    while True:
        there = [f"gateway {gateway}"] * alive(gateway) + [f"child {pid}" for pid in children(mark)]
        if not there or time.monotonic() > deadline:
            return [f"left behind: {process}" for process in there]
        time.sleep(0.05)


def children(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return [pid for pid in found if alive(pid) and pid != os.getpid()]
