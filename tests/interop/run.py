#!/usr/bin/env python3
"""Real clients, through the gateway, at real servers.

    tests/interop/run.py            the gateway in front of all servers, every client in front of the gateway
    tests/interop/run.py --direct   every client at every server it can talk to by itself, without the gateway
    tests/interop/run.py --launch   only the clients that launch a gateway of their own and speak with it over stdio
    tests/interop/run.py --walk     only the walks: each feature that crosses between the eras, one server at a time

The gateway is the program in GATEWAY_BIN, or else the one that cargo built last. Prints a table and the failures, and ends
with `N passed, N failed`; the exit code is 1 if anything failed.
"""

import sys

import launching
import setup
import surviving
import walking
from gateway import Gateway
from peers import Client, Server, clients, servers
from processes import alive


class Report:
    """Passes and failures, in rows of clients and columns of servers."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], str] = {}
        self.failures: list[str] = []
        self.passed = 0

    def add(self, row: str, column: str, problems: list[str]) -> None:
        self.cells[row, column] = "FAIL" if problems else "ok"
        self.passed += not problems
        self.failures += [f"{row} × {column}: {problem}" for problem in problems[:1]]
        for problem in problems[1:]:
            self.failures[-1] += f"\n    {problem}"

    def print(self) -> int:
        columns = list(dict.fromkeys(column for _, column in self.cells))
        rows = list(dict.fromkeys(row for row, _ in self.cells))
        width = max(map(len, rows)) + 2
        print("\n" + " " * width + "  ".join(columns))
        for row in rows:
            cells = (self.cells.get((row, column), "-").center(len(column)) for column in columns)
            print(row.ljust(width) + "  ".join(cells))
        print()
        for failure in self.failures:
            print(f"FAILED {failure}")
        print(f"{self.passed} passed, {len(self.failures)} failed")
        return 1 if self.failures else 0


def judge(server: Server, client: Client, wire: str, prefix: str, report: dict | None, said: str) -> list[str]:
    """What is wrong with a client's report on one server."""
    if report is None:
        return [said]
    problems = []
    for call in server.calls:
        name = prefix + call.tool
        if name not in report["tools"]:
            problems.append(f"{name} is not listed, but {report['tools']}")
        # Through the gateway a report holds the calls of every server.
        found = next(entry for entry in report["calls"] if entry["tool"] == name)
        wanted = {"tool": name, "text": call.text, "isError": False, "progress": call.progress}
        if client.may_forget_last(wire) and found.get("progress") == call.progress[:-1]:
            found = {**found, "progress": call.progress}
        if found != wanted:
            problems.append(f"wanted {wanted}, found {found}")
    return problems


def direct(behind: list[Server], report: Report) -> None:
    for client in clients():
        for server in behind:
            # A client of the old transport talks to nothing else; the others have no such endpoint to talk to.
            if (client.transport == "sse") != (server.wire == "sse") or not client.opens() & server.eras:
                continue
            report.add(client.name, server.name, judge(server, client, server.wire, "", *client.run(server.errand(client))))


def through(behind: list[Server], report: Report) -> None:
    with Gateway({server.name: server.entry() for server in behind}, naming="prefixed") as gateway:
        gateway.wait({f"{server.name}__{call.tool}" for server in behind for call in server.calls})
        for client in clients():
            visit(client, gateway.port, behind, report)
    problems = [] if gateway.ended == 0 else [f"ended with {gateway.ended}\n{gateway.process.tail()}"]
    left = [pid for pid in gateway.children if alive(pid)]
    report.add("shutdown", "gateway", problems + ([f"left {left} behind"] if left else []))


def visit(client: Client, port: int, behind: list[Server], report: Report) -> None:
    """One session of a client, in which it calls tools of every server."""
    path = "/sse" if client.transport == "sse" else "/mcp"
    wire = {"transport": client.transport, "url": f"http://127.0.0.1:{port}{path}"}
    calls = [(f"{server.name}__", call) for server in behind for call in server.calls]
    found = client.run(client.errand(wire, calls))
    for server in behind:
        report.add(client.name, server.name, judge(server, client, client.transport, f"{server.name}__", *found))


def main() -> int:
    setup.install()
    behind, report = servers(), Report()
    if not {"--direct", "--launch"} & set(sys.argv[1:]):
        walking.walk(report)
        surviving.survive(report)
    if "--walk" in sys.argv[1:]:
        return report.print()
    try:
        for server in behind:
            server.start()
        if "--direct" in sys.argv[1:]:
            direct(behind, report)
        elif "--launch" not in sys.argv[1:]:
            through(behind, report)
        if "--direct" not in sys.argv[1:]:
            launching.launch(behind, report, judge)
    finally:
        for server in behind:
            if server.process:
                server.process.stop(5)
    return report.print()


if __name__ == "__main__":
    sys.exit(main())
