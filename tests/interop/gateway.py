"""The gateway of a run."""

import json
import os
import socket
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from processes import HERE, Process

READY = 90
"""Seconds until every server must be listed: the slowest is a cold start of node on a busy machine."""
STOP = 30
"""Seconds the gateway may take to end."""


class Gateway:
    """A gateway in front of the servers of `entries`, on a port of its own, as long as the context lasts."""

    def __init__(self, entries: dict, **settings):
        self.entries, self.settings = entries, settings
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def __enter__(self) -> "Gateway":
        self.folder = tempfile.TemporaryDirectory()
        config = Path(self.folder.name) / "gateway.json"
        settings = {"name": "gateway", "port": self.port, "healthCheckInterval": 2000, **self.settings}
        config.write_text(json.dumps({**settings, "mcpServers": self.entries}))
        self.command = [binary(), "serve", "--config", str(config)]
        self.process = Process("gateway", self.command)
        return self

    def restart(self) -> None:
        """Another process in the place of this one, on the same port and with the same keys."""
        self.process.stop(STOP)
        self.process = Process("gateway", self.command)

    def __exit__(self, *_) -> None:
        self.children = self.process.children()
        self.ended = self.process.stop(STOP)
        self.folder.cleanup()

    def ready(self) -> None:
        """Waits until the gateway answers, whatever is behind it."""
        self.wait(set())

    def wait(self, wanted: set[str]) -> None:
        """Waits until all these tools are listed; what is not by then fails later, in its own words."""
        deadline = time.monotonic() + READY
        missing: object = wanted
        while time.monotonic() < deadline and self.process.popen.poll() is None:
            try:
                missing = wanted - self.listed()
            except (OSError, ValueError, KeyError) as error:
                missing = error
            if not missing:
                return
            time.sleep(0.05)
        print(f"not ready: {missing}\n{self.process.tail()}")

    def listed(self) -> set[str]:
        """The tools of the gateway, asked for in the plainest way of 2026-07-28."""
        prefix = "io.modelcontextprotocol/"
        meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/list",
        }
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as response:
            text = response.read().decode()
        if response.headers.get_content_type() == "text/event-stream":
            text = next(line[5:] for line in reversed(text.splitlines()) if line.startswith("data:"))
        return {tool["name"] for tool in json.loads(text)["result"]["tools"]}


def binary() -> str:
    if "GATEWAY_BIN" in os.environ:
        return str(Path(os.environ["GATEWAY_BIN"]).resolve())
    target = HERE.parent.parent / "target"
    built = [path for profile in ("release", "debug") if (path := target / profile / "tower-mcp-gateway").exists()]
    if not built:
        sys.exit("no gateway to test: cargo build --release, or set GATEWAY_BIN")
    return str(max(built, key=lambda path: path.stat().st_mtime))
