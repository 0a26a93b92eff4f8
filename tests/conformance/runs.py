"""The runs: which suite, at what."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

import setup  # noqa: E402
from gateway import Gateway  # noqa: E402
from processes import Process  # noqa: E402

NODE = str(HERE / "node_modules" / ".bin" / "node")
INITIALIZE = str(HERE / "node_modules" / "suite-initialize" / "dist" / "index.js")
REVISIONS = str(HERE / "node_modules" / "suite-revisions" / "dist" / "index.js")
PATIENCE = 300
"""Seconds a suite may take; it takes five where all is well, and a scenario gives up by itself after thirty."""

SUITES = {
    "0.1.16": [INITIALIZE, "server", "--suite", "all"],
    "2025-11-25": [REVISIONS, "server", "--requirements", "2025-11-25"],
    "2026-07-28": [REVISIONS, "server", "--requirements", "2026-07-28"],
}

CLIENTS = {
    "2025-11-25": ["initialize", "tools_call", "sse-retry", "elicitation-sep1034-client-defaults"],
    "2026-07-28": [
        "tools_call",
        "request-metadata",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "sep-2322-client-request-state",
    ],
}


@dataclass
class Score:
    """The checks of a scenario that passed, of those that had a verdict, and what the others said."""

    passed: int = 0
    of: int = 0
    complaints: list[str] = field(default_factory=list)

    @staticmethod
    def parse(text: str | None) -> "Score | None":
        return Score(*map(int, text.split("/"))) if text else None

    def __str__(self) -> str:
        return f"{self.passed}/{self.of}"

    def add(self, check: dict) -> None:
        if check["status"] not in ("SUCCESS", "FAILURE", "WARNING"):
            return
        self.of += 1
        self.passed += check["status"] == "SUCCESS"
        if check["status"] != "SUCCESS":
            self.complaints.append(f"{check['status']} {check['id']}: {(check.get('errorMessage') or '')[:300]}")

    def perfect(self) -> bool:
        return self.passed == self.of

    def below(self, other: "Score") -> bool:
        return self.passed < other.passed or self.of - self.passed > other.of - other.passed

    def said(self) -> str:
        return "".join(f"\n    {complaint}" for complaint in self.complaints)


@dataclass
class ServerRun:
    """A suite's server scenarios: at the reference server, or at a gateway in front of it."""

    suite: str
    eras: str
    gateway: bool

    @property
    def name(self) -> str:
        return f"{'gateway' if self.gateway else 'direct'}/{self.eras} {self.suite}"

    def scores(self) -> dict[str, Score]:
        with reference(self.eras) as url, tempfile.TemporaryDirectory() as folder:
            with front(url) if self.gateway else here(url) as url:
                suite([NODE, *SUITES[self.suite], "--url", url, "-o", folder], folder)
            return gather(Path(folder))


@dataclass
class ClientRun:
    """Client scenarios: the suite is the server, and a real client meets it through a gateway, or directly."""

    revision: str
    gateway: bool

    @property
    def name(self) -> str:
        return f"client/{'gateway' if self.gateway else 'direct'} {self.revision}"

    def scores(self) -> dict[str, Score]:
        found = {}
        program = [sys.executable, str(HERE / "client" / "main.py")] if self.gateway else [NODE, str(HERE / "client" / "client.mjs")]
        for scenario in CLIENTS[self.revision]:
            with tempfile.TemporaryDirectory() as folder:
                command = [NODE, REVISIONS, "client", "--command", " ".join(program), "--scenario", scenario]
                suite([*command, "--spec-version", self.revision, "-o", folder], folder)
                found[scenario] = next(iter(gather(Path(folder)).values()), Score(0, 1, ["the scenario left no checks"]))
        return found


def every() -> Iterator[ServerRun | ClientRun]:
    for suite in SUITES:
        yield ServerRun(suite, "both", gateway=False)
    for eras in ("both", "legacy", "modern"):
        for suite in SUITES:
            yield ServerRun(suite, eras, gateway=True)
    for revision in CLIENTS:
        for gateway in (False, True):
            yield ClientRun(revision, gateway)


def install() -> None:
    setup.once(HERE / "node_modules", HERE / "package-lock.json", [["npm", "ci", "--no-audit", "--no-fund"]])


def suite(command: list[str], folder: str) -> None:
    """Runs a suite to its end; its exit code says no more than the checks it leaves."""
    try:
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"  gave up after {PATIENCE} s: {' '.join(command[1:])}")


def gather(folder: Path) -> dict[str, Score]:
    """The scores of every scenario that left its checks in `folder`."""
    found: dict[str, Score] = {}
    for path in sorted(folder.rglob("checks.json")):
        scenario = re.fullmatch(r"(?:server-)?(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name).group(1)
        score = found.setdefault(scenario, Score())
        for check in json.loads(path.read_text()):
            score.add(check)
    return found


@contextmanager
def reference(eras: str) -> Iterator[str]:
    server = Process("reference", [NODE, "reference/main.mjs", eras], cwd=HERE)
    try:
        yield f"http://127.0.0.1:{server.port()}/mcp"
    finally:
        server.stop(5)


@contextmanager
def here(url: str) -> Iterator[str]:
    yield url


@contextmanager
def front(url: str) -> Iterator[str]:
    with Gateway({"reference": {"type": "http", "url": url}}) as gateway:
        gateway.wait({"test_simple_text"})
        yield gateway.url
