"""How often an alarm is false, and what is caught, on simulated windows; the same for Evidently's preset as it comes."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.drift.rows import draw, summarise
from tasks.contracts.upkeep import Drift
from tasks.monitoring.drift import decide_drift, draw_pseudo_windows
from tasks.monitoring.summaries import summarize_reference
from tasks.monitoring.watched import Watched


@dataclass(frozen=True)
class Scenario:
    """What is true, and what the share of alarms must keep. `shift` moves the first feature, in sd."""

    name: str
    features: int = 10
    rows: int = 1_000
    reference_rows: int = 10_000
    correlation: float = 0.0
    shift: float = 0.0
    windows: int = 1_000
    references: int = 10
    """Each scenario is run on so many: the luck of one of them is part of the rate."""
    bound: str = ""
    evidently: int = 24
    """Windows that Evidently is asked of at most, until its time is over; 0: none."""

    def holds(self, share: float) -> bool:
        kind, _, value = self.bound.partition(" ")
        return {"": True, "<=": share <= float(value or 0), ">=": share >= float(value or 0)}[kind]


MILLION = 1_000_000
SCENARIOS = [
    *(
        Scenario("no shift", features, correlation=correlation, windows=windows, bound="<= 0.02")
        for features, windows in ((10, 1_000), (50, 600), (200, 300))
        for correlation in (0.0, 0.7)
    ),
    Scenario("no shift, small window", rows=200, bound="<= 0.02", evidently=0),
    Scenario("no shift, small reference", reference_rows=1_000, bound="<= 0.02", evidently=0),
    Scenario("one feature by 1 sd", shift=1.0, rows=200, windows=300, bound=">= 0.99", evidently=0),
    Scenario("one feature by 1 sd", shift=1.0, windows=300, bound=">= 0.99"),
    Scenario("one feature by 0.3 sd", shift=0.3, rows=200, windows=300, evidently=0),
    Scenario("one feature by 0.3 sd", shift=0.3, windows=300),
    Scenario("one feature by 0.3 sd", shift=0.3, rows=10_000, windows=300),
    Scenario(
        "one feature by 0.02 sd",
        shift=0.02,
        rows=MILLION,
        reference_rows=MILLION,
        windows=10,
        references=2,
        bound="<= 0.02",
        evidently=1,
    ),
]


def run_scenario(scenario: Scenario, share: float, pool: ProcessPoolExecutor) -> dict[str, object]:
    """Return how often keepfit alarms, over `share` of the scenario's windows."""
    started, parts = time.perf_counter(), scenario.references
    windows = max(1, round(scenario.windows * share / parts))
    alarms = sum(pool.map(count_alarms, [scenario] * parts, [windows] * parts, range(parts)))
    rate = alarms / (windows * parts)
    return {
        "keepfit": rate,
        "windows": windows * parts,
        "kept": scenario.holds(rate),
        "seconds": round(time.perf_counter() - started, 1),
    }


def count_alarms(scenario: Scenario, windows: int, seed: int) -> int:
    """Return the alarms over so many windows that are held against one reference."""
    rng, rules = np.random.default_rng([seed, scenario.features, scenario.rows]), Drift()
    names = [f"x{at}" for at in range(scenario.features)]
    with tempfile.TemporaryDirectory(prefix="keepfit-bench-") as folder:
        path = Path(folder) / "reference.parquet"
        pd.DataFrame(
            draw(rng, scenario.reference_rows, scenario.features, scenario.correlation), columns=names
        ).to_parquet(path)
        watched = [Watched(column=name, type="number") for name in names]
        reference = summarize_reference(path, watched, digest="a" * 64, seed=seed)
    pseudo = draw_pseudo_windows(reference, scenario.rows, rules, seed)
    alarms = 0
    for _ in range(windows):
        x = draw(rng, scenario.rows, scenario.features, scenario.correlation)
        x[:, 0] += scenario.shift
        alarms += bool(decide_drift(reference, summarise(x, reference), rules, pseudo=pseudo).alarm)
    return alarms


def ask_evidently(scenario: Scenario, seconds: float, pool: ProcessPoolExecutor) -> dict[str, object]:
    """Return how often DataDriftPreset, as it comes, flags a column, and the data set; until the time is over."""
    started, workers = time.perf_counter(), min(2, scenario.evidently)
    seeds = [range(at, scenario.evidently, workers) for at in range(workers)]
    counted = zip(*pool.map(count_flags, [scenario] * workers, [seconds] * workers, seeds), strict=True)
    flagged, data_set, trials = map(sum, counted)
    return {
        "evidently_column": flagged / trials,
        "evidently_data_set": data_set / trials,
        "evidently_trials": trials,
        "evidently_seconds": round(time.perf_counter() - started, 1),
    }


def count_flags(scenario: Scenario, seconds: float, seeds: Iterable[int]) -> tuple[int, int, int]:
    """Return on how many windows a column was flagged, on how many the data set, and of how many."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    flagged, data_set, trials, started = 0, 0, 0, time.perf_counter()
    for before, now in _draw_pairs(scenario, seeds):
        definition = DataDefinition(numerical_columns=list(before.columns))
        sides = [Dataset.from_pandas(rows, data_definition=definition) for rows in (now, before)]
        count = Report([DataDriftPreset()]).run(*sides).dict()["metrics"][0]["value"]
        flagged, data_set, trials = flagged + (count["count"] > 0), data_set + (count["share"] >= 0.5), trials + 1
        if time.perf_counter() - started > seconds:
            break
    return flagged, data_set, trials


def _draw_pairs(scenario: Scenario, seeds: Iterable[int]) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    for seed in seeds:
        rng = np.random.default_rng([seed, 1])
        before, now = (
            draw(rng, rows, scenario.features, scenario.correlation)
            for rows in (scenario.reference_rows, scenario.rows)
        )
        now[:, 0] += scenario.shift
        yield pd.DataFrame(before).add_prefix("x"), pd.DataFrame(now).add_prefix("x")
