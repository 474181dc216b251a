"""One decision in a process of its own, so that its memory shows: `python -m benchmarks.drift.speed WAY FILE`.

The same file is window and reference: what a decision costs does not depend on what it says. Imports are not counted.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.drift.rows import write_rows


def time_keepfit(path: Path) -> Callable[[], None]:
    """The decision as monitoring makes it: the reference's summary is there, as JSON; the window is a file."""
    from benchmarks.drift.rows import watch_twenty
    from tasks.contracts.upkeep import Drift
    from tasks.monitoring.drift import decide_drift
    from tasks.monitoring.summaries import ReferenceSummary, summarize_window

    known = Path(f"{path}.json")
    if not known.exists():
        return lambda: known.write_text(_summarise(path, watch_twenty())) and None

    def decide() -> None:
        reference = ReferenceSummary.model_validate_json(known.read_text())
        decide_drift(reference, summarize_window(path, reference), Drift())

    return decide


def _summarise(path: Path, watched: list) -> str:
    from tasks.monitoring.summaries import summarize_reference

    return summarize_reference(path, watched, digest="a" * 64).model_dump_json()


def time_scipy(path: Path) -> Callable[[], None]:
    """The plain loop: one test a column, both columns in memory."""
    import pandas as pd
    from scipy import stats

    from benchmarks.drift.rows import watch_twenty

    def decide() -> None:
        for each in watch_twenty():
            now, before = (pd.read_parquet(path, columns=[each.column])[each.column] for _ in range(2))
            if each.type == "number":
                stats.ks_2samp(now, before, method="asymp")
            else:
                counts = pd.concat([now.value_counts(), before.value_counts()], axis=1).fillna(0)
                stats.chi2_contingency(counts.T)

    return decide


def time_evidently(path: Path) -> Callable[[], None]:
    """DataDriftPreset as it comes, without a page."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    from benchmarks.drift.rows import watch_twenty

    def decide() -> None:
        numbers = [each.column for each in watch_twenty() if each.type == "number"]
        others = [each.column for each in watch_twenty() if each.type != "number"]
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=others)
        sides = [Dataset.from_pandas(pd.read_parquet(path), data_definition=definition) for _ in range(2)]
        Report([DataDriftPreset()]).run(*sides).dict()

    return decide


WAYS = {"reference": time_keepfit, "keepfit": time_keepfit, "scipy": time_scipy, "evidently": time_evidently}


def measure(rows: int, limits: dict[str, float]) -> dict[str, dict[str, float] | None]:
    """Return wall, CPU and peak memory of each way at this size; None where its time was over."""
    with tempfile.TemporaryDirectory(prefix="keepfit-bench-") as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path, rows)
        return {way: _ask(way, path, limits[way]) for way in WAYS if limits.get(way, 0) > 0}


def _ask(way: str, path: Path, limit_s: float) -> dict[str, float] | None:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.drift.speed", way, str(path)]
    environment = {**os.environ, "DO_NOT_TRACK": "1"}
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit_s, env=environment)
    except subprocess.TimeoutExpired:
        return None
    return dict(json.loads(said.stdout.splitlines()[-1]))


def main() -> None:
    decide = WAYS[sys.argv[1]](Path(sys.argv[2]))
    wall, cpu = time.perf_counter(), time.process_time()
    decide()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # Not ru_maxrss: a child starts with its parent's.
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6
    print(json.dumps({"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": round(peak)}))


if __name__ == "__main__":
    main()
