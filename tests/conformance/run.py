#!/usr/bin/env python3
"""The official conformance suites, at a reference server and through the gateway in front of it.

    tests/conformance/run.py                  every run, compared with what it scored before
    tests/conformance/run.py gateway/modern   the runs whose name begins like that
    tests/conformance/run.py --update         writes the scores of these runs down as the ones to keep

The gateway is the program in GATEWAY_BIN, or else the one that cargo built last. A run fails where a scenario scores less
than `scores.json` says, or is not perfect without a reason in `reasons.toml`. Ends with `N passed, N failed`; the exit code
is 1 if anything failed.
"""

import json
import os
import sys
import tomllib
from fnmatch import fnmatchcase

import runs
from runs import HERE, Score

SCORES = HERE / "scores.json"
REASONS = HERE / "reasons.toml"


class Reasons:
    """Why scenarios do not score in full, and which of the reasons were needed."""

    def __init__(self) -> None:
        self.entries = tomllib.loads(REASONS.read_text())["expected"]
        self.used: set[int] = set()

    def find(self, run: str, scenario: str) -> str | None:
        for index, entry in enumerate(self.entries):
            if any(fnmatchcase(run, name) for name in entry["runs"]):
                if any(fnmatchcase(scenario, name) for name in entry["scenarios"]):
                    self.used.add(index)
                    return entry["reason"]
        return None

    def idle(self) -> list[str]:
        return [entry["reason"] for index, entry in enumerate(self.entries) if index not in self.used]


def judge(run: str, found: dict[str, Score], kept: dict[str, str], reasons: Reasons) -> list[str]:
    """What is wrong with the scores of a run."""
    problems = []
    for scenario in sorted(kept.keys() | found.keys()):
        score, before = found.get(scenario), Score.parse(kept.get(scenario))
        explained = score is None or score.perfect() or reasons.find(run, scenario) is not None
        if score is None:
            problems.append(f"{scenario} did not run; it scored {before} before")
        elif before is not None and score.below(before):
            problems.append(f"{scenario} scored {score}; it scored {before} before{score.said()}")
        elif not explained:
            problems.append(f"{scenario} scored {score}, and no reason is written down{score.said()}")
        elif before is not None and before.below(score):
            print(f"  {scenario} scored {score}, better than {before}: run with --update")
    return problems


def main() -> int:
    if "GATEWAY_BIN" in os.environ:
        # The suites start clients in folders of their own, where a relative path leads nowhere.
        os.environ["GATEWAY_BIN"] = os.path.abspath(os.environ["GATEWAY_BIN"])
    runs.install()
    options = sys.argv[1:]
    wanted = [option for option in options if not option.startswith("--")]
    kept = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    reasons, passed, failures = Reasons(), 0, []
    for run in runs.every():
        if wanted and not any(run.name.startswith(name) for name in wanted):
            continue
        found = run.scores()
        print(f"{run.name}: {sum(score.passes() for score in found.values())}/{len(found)}", flush=True)
        if "--verbose" in options:
            for scenario, score in found.items():
                if not score.perfect():
                    print(f"  {scenario} {score}{score.said()}")
        if "--update" in options:
            kept[run.name] = {scenario: str(score) for scenario, score in sorted(found.items())}
            continue
        problems = judge(run.name, found, kept.get(run.name, {}), reasons)
        passed += len(found) - len(problems)
        failures += [f"{run.name}: {problem}" for problem in problems]
    if "--update" in options:
        SCORES.write_text(json.dumps(kept, indent=1) + "\n")
        return 0
    if not wanted:
        for reason in reasons.idle():
            print(f"  no run needs this reason: {reason}")
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
