"""The servers behind, and the clients in front."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field

from processes import Process
from setup import HERE, PYTHON

NODE = shutil.which("node") or "node"
EVERYTHING = ["--import", "./servers/loopback.mjs", "node_modules/@modelcontextprotocol/server-everything/dist/index.js"]
CLIENT_TIMEOUT = 120


@dataclass
class Call:
    tool: str
    arguments: dict
    text: str
    progress: list[int] = field(default_factory=list)


@dataclass
class Server:
    """A server and what its tools answer; `command` launches it, `wire` is what it then speaks."""

    name: str
    wire: str  # stdio, sse or http
    eras: set[str]
    command: list[str]
    path: str
    calls: list[Call]
    process: Process | None = None
    url: str | None = None

    def start(self) -> None:
        if self.wire == "stdio":
            return
        self.process = Process(self.name, self.command, {**os.environ, "PORT": "0"})
        self.url = f"http://127.0.0.1:{self.process.port()}{self.path}"

    def entry(self) -> dict:
        """The server in the notation that clients' configuration files share."""
        if self.wire == "stdio":
            return {"command": self.command[0], "args": self.command[1:], "cwd": str(HERE)}
        return {"type": self.wire, "url": self.url}

    def errand(self, client: "Client", prefix: str = "") -> dict:
        """What a client is to do at this server directly."""
        wire = {"transport": self.wire, "url": self.url, "command": self.command[0], "args": self.command[1:]}
        return client.errand(wire, [(prefix, call) for call in self.calls])


@dataclass
class Client:
    name: str
    program: list[str]
    options: dict
    transport: str = "http"

    def opens(self) -> set[str]:
        """The eras it can open."""
        mode = self.options["mode"]
        return {"legacy", "modern"} if mode == "auto" else {mode}

    def may_forget_last(self, wire: str) -> bool:
        """Whether its SDK may drop a call's last progress: where that arrives in one read with the result, the
        TypeScript ones settle the call first, except over Streamable HTTP, where they take events one by one."""
        return self.options["client"] != "python" and wire != "http"

    def errand(self, wire: dict, calls: list[tuple[str, Call]]) -> dict:
        wanted = [{"tool": prefix + call.tool, "arguments": call.arguments} for prefix, call in calls]
        return {**self.options, **wire, "calls": wanted}

    def run(self, errand: dict) -> tuple[dict | None, str]:
        """Its report, or what it said when it failed."""
        command = [*self.program, json.dumps(errand)]
        try:
            done = subprocess.run(
                command, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLIENT_TIMEOUT
            )
        except subprocess.TimeoutExpired:
            return None, f"no end in {CLIENT_TIMEOUT} s"
        report = [line for line in done.stdout.splitlines() if line.startswith(('{"tools"', '{"steps"'))]
        if not report or done.returncode != 0:
            return None, f"exit {done.returncode}: " + (done.stderr.strip()[-1500:] or "no report")
        return json.loads(report[0]), done.stderr


def servers() -> list[Server]:
    steps = [1, 2, 3]
    everything = [
        Call("echo", {"message": "héllo"}, "Echo: héllo"),
        Call(
            "trigger-long-running-operation",
            {"duration": 0.1, "steps": 3},
            "Long running operation completed. Duration: 0.1 seconds, Steps: 3.",
            steps,
        ),
    ]
    small = [Call("echo", {"message": "héllo"}, "Echo: héllo"), Call("slow", {"steps": 3}, "3 steps", steps)]
    both, legacy, python = {"legacy", "modern"}, {"legacy"}, [str(PYTHON), "servers/python_server.py"]
    return [
        Server("everything-stdio", "stdio", legacy, [NODE, *EVERYTHING, "stdio"], "", everything),
        Server("everything-sse", "sse", legacy, [NODE, *EVERYTHING, "sse"], "/sse", everything),
        Server("everything-http", "http", legacy, [NODE, *EVERYTHING, "streamableHttp"], "/mcp", everything),
        Server("ts2", "http", both, [NODE, "servers/ts2.mjs"], "/mcp", small),
        Server("python-stdio", "stdio", both, [*python, "stdio"], "", small),
        Server("python-http", "http", both, [*python, "http"], "/mcp", small),
    ]


def clients() -> list[Client]:
    ts, python = [NODE, "clients/ts.mjs"], [str(PYTHON), "clients/python_client.py"]
    found = [Client("ts-v1", ts, {"client": "v1", "mode": "legacy"})]
    for mode in ("legacy", "auto", "modern"):
        found.append(Client(f"ts-v2-{mode}", ts, {"client": "v2", "mode": mode}))
    for mode in ("legacy", "auto", "modern"):
        found.append(Client(f"python-{mode}", python, {"client": "python", "mode": mode}))
    found.append(Client("ts-v1-sse", ts, {"client": "v1", "mode": "legacy"}, "sse"))
    found.append(Client("python-sse", python, {"client": "python", "mode": "legacy"}, "sse"))
    return found


