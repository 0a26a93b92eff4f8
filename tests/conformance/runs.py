"""The runs: which suite, at what."""

import json
import re
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
    """How many checks of a scenario passed, failed, and were short of what a server or client SHOULD do."""

    passed: int = 0
    failed: int = 0
    warned: int = 0
    complaints: list[str] = field(default_factory=list)

    @staticmethod
    def parse(text: str | None) -> "Score | None":
        return Score(**{word: int(count) for count, word in map(str.split, text.split(", "))}) if text else None

    def __str__(self) -> str:
        counts = {"passed": self.passed, "failed": self.failed, "warned": self.warned}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "passed")

    def add(self, check: dict) -> None:
        match check["status"]:
            case "SUCCESS":
                self.passed += 1
                return
            case "FAILURE":
                self.failed += 1
            case "WARNING":
                self.warned += 1
            case _:
                return
        self.complaints.append(f"{check['status']} {check['id']}: {(check.get('errorMessage') or '')[:300]}")

    def passes(self) -> bool:
        """Whether the suite itself would say that the scenario passes."""
        return self.failed == 0

    def perfect(self) -> bool:
        return self.failed == 0 and self.warned == 0

    def below(self, other: "Score") -> bool:
        """Whether fewer checks pass, or others complain where none did; how many do may depend on when a call ended."""
        worse = (self.failed and not other.failed) or (self.warned and not other.warned)
        return self.passed < other.passed or bool(worse)

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
    through: str

    @property
    def name(self) -> str:
        return f"client/{self.through} {self.revision}"

    def scores(self) -> dict[str, Score]:
        return {scenario: self.score(scenario) for scenario in CLIENTS[self.revision]}

    def score(self, scenario: str) -> Score:
        gateway = [sys.executable, str(HERE / "client" / "main.py")]
        program = {
            "direct": [NODE, str(HERE / "client" / "client.mjs")],
            "gateway": gateway,
            "gateway-initialize": [*gateway, "initialize"],
        }[self.through]
        with tempfile.TemporaryDirectory() as folder:
            command = [NODE, REVISIONS, "client", "--command", " ".join(program), "--scenario", scenario]
            suite([*command, "--spec-version", self.revision, "-o", folder], folder)
            left = gather(Path(folder))
        return next(iter(left.values())) if left else Score(failed=1, complaints=["it left no checks"])


def every() -> Iterator[ServerRun | ClientRun]:
    for suite in SUITES:
        yield ServerRun(suite, "both", gateway=False)
    for eras in ("both", "legacy", "modern"):
        for suite in SUITES:
            yield ServerRun(suite, eras, gateway=True)
    for revision in CLIENTS:
        yield ClientRun(revision, "direct")
        yield ClientRun(revision, "gateway")
    # The same scenarios, when what the gateway tells the server is not what its client could have told it.
    yield ClientRun("2026-07-28", "gateway-initialize")


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
