"""What keepfit adds to the bare work on iris: `python -m benchmarks.overhead [--rounds N] [--json]`.

In one run, interleaved: the plain script, the same functions in bare Prefect, and `keepfit run iris`, each without
and with a Prefect server that is already running. Wall time and CPU seconds of all their processes, medians of the
rounds. Selection is 2 folds of 2 candidates in all of them, so that fitting does not hide the overhead.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Cost(NamedTuple):
    wall_s: float
    cpu_s: float


def measure(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command to its end; its CPU seconds include those of every process that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def light_projects(folder: Path) -> Path:
    """Return a copy of the projects in which iris chooses as the plain script does: two candidates, two folds."""
    shutil.copytree(ROOT / "projects", folder, ignore=shutil.ignore_patterns("__pycache__"))
    spec = folder / "iris" / "project.yaml"
    text = re.sub(r"selection: \{.*\}", "selection: {folds: 2, rule: one_standard_error}", spec.read_text())
    spec.write_text(re.sub(r"  knn-5:.*?(?=\n  logistic:)", "", text, flags=re.DOTALL))
    return folder


class Bench:
    """The contenders, each a function that makes one cost."""

    def __init__(self, place: Path, server_url: str) -> None:
        self.place = place
        self.server_url = server_url
        self.count = 0
        self.projects = light_projects(place / "projects")
        self.warm_home = place / "prefect-warm"
        self.seed = place / "prefect-seed"

    def _environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "KEEPFIT_"))}
        quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "ERROR"}
        return {**kept, **quiet, **more}

    def _folder(self) -> str:
        self.count += 1
        return str(self.place / f"out-{self.count}")

    def plain(self) -> Cost:
        return measure([sys.executable, "-m", "benchmarks.overhead.plain", self._folder()], self._environment())

    def bare(self, **environment: str) -> Cost:
        command = [sys.executable, "-m", "benchmarks.overhead.bare_prefect", self._folder()]
        raised = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
        return measure(command, self._environment(PREFECT_HOME=str(self.warm_home), **raised, **environment))

    def keepfit(self, *, migrated: bool = True, **environment: str) -> Cost:
        home = Path(self._folder())
        command = [str(Path(sys.executable).with_name("keepfit")), "run", "iris"]
        places = {"KEEPFIT_HOME": str(home), "KEEPFIT_PROJECTS": str(self.projects)}
        if migrated and self.seed.exists():  # no model and no ledger, but Prefect's database is there already
            shutil.copytree(self.seed, home / "prefect")
        cost = measure(command, self._environment(**places, **environment))
        if not environment and not self.seed.exists():
            shutil.copytree(home / "prefect", self.seed)
        return cost

    def contenders(self) -> dict[str, Callable[[], Cost]]:
        server = {"PREFECT_API_URL": self.server_url}
        return {
            "plain script": self.plain,
            "bare Prefect, server runs": lambda: self.bare(**server),
            "keepfit, server runs": lambda: self.keepfit(**server),
            "bare Prefect, temporary server": self.bare,
            "keepfit, temporary server": self.keepfit,
            "keepfit, temporary server, first ever": lambda: self.keepfit(migrated=False),
        }


def run(rounds: int) -> list[dict[str, Any]]:
    from flows.local_server import LocalServer

    with tempfile.TemporaryDirectory(prefix="keepfit-bench-") as folder:
        server = LocalServer(Path(folder) / "server")
        server.wait()
        try:
            contenders = Bench(Path(folder), server.url).contenders()
            costs: dict[str, list[Cost]] = {name: [] for name in contenders}
            for place in range(rounds + 1):
                for name, contend in contenders.items():
                    cost = contend()
                    if place:  # the first round fills caches and migrates databases
                        costs[name].append(cost)
        finally:
            server.stop()
    base = median(costs["plain script"])
    return [{"contender": name, **row(median(found), base)} for name, found in costs.items()]


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(c.wall_s for c in costs), statistics.median(c.cpu_s for c in costs))


def row(cost: Cost, base: Cost) -> dict[str, float]:
    return {
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "wall_ratio": cost.wall_s / base.wall_s,
        "cpu_above_script_s": cost.cpu_s - base.cpu_s,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = run(options.rounds)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'contender':<40}{'wall s':>8}{'CPU s':>8}{'wall ratio':>12}{'CPU above script':>18}")
    for found in rows:
        print(
            f"{found['contender']:<40}{found['wall_s']:>8.1f}{found['cpu_s']:>8.1f}"
            f"{found['wall_ratio']:>12.2f}{found['cpu_above_script_s']:>18.1f}"
        )


if __name__ == "__main__":
    main()
