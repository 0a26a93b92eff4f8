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
import sys
import tomllib
from fnmatch import fnmatchcase

import runs
from runs import HERE, Score

SCORES = HERE / "scores.json"
REASONS = HERE / "reasons.toml"


def reason(run: str, scenario: str) -> str | None:
    """Why a scenario does not score in full in a run."""
    for entry in tomllib.loads(REASONS.read_text())["expected"]:
        if any(fnmatchcase(run, name) for name in entry["runs"]):
            if any(fnmatchcase(scenario, name) for name in entry["scenarios"]):
                return entry["reason"]
    return None


def judge(run: str, found: dict[str, Score], kept: dict[str, str]) -> list[str]:
    """What is wrong with the scores of a run."""
    problems = []
    for scenario in sorted(kept.keys() | found.keys()):
        score, before = found.get(scenario), Score.parse(kept.get(scenario))
        if score is None:
            problems.append(f"{scenario} did not run; it scored {before} before")
        elif before is not None and score.below(before):
            problems.append(f"{scenario} scored {score}; it scored {before} before{score.said()}")
        elif not score.perfect() and reason(run, scenario) is None:
            problems.append(f"{scenario} scored {score}, and no reason is written down{score.said()}")
        elif before is not None and before.below(score):
            print(f"  {scenario} scored {score}, better than {before}: run with --update")
    return problems


def main() -> int:
    runs.install()
    options = sys.argv[1:]
    wanted = [option for option in options if not option.startswith("--")]
    kept = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    passed, failures = 0, []
    for run in runs.every():
        if wanted and not any(run.name.startswith(name) for name in wanted):
            continue
        found = run.scores()
        print(f"{run.name}: {sum(score.perfect() for score in found.values())}/{len(found)}", flush=True)
        if "--verbose" in options:
            for scenario, score in found.items():
                if not score.perfect():
                    print(f"  {scenario} {score}{score.said()}")
        if "--update" in options:
            kept[run.name] = {scenario: str(score) for scenario, score in sorted(found.items())}
            continue
        problems = judge(run.name, found, kept.get(run.name, {}))
        passed += len(found) - len(problems)
        failures += [f"{run.name}: {problem}" for problem in problems]
    if "--update" in options:
        SCORES.write_text(json.dumps(kept, indent=1) + "\n")
        return 0
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
