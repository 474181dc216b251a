"""Small tables, written to Parquet and summarised as a run does."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.contracts.monitoring import Change, DriftReport
from tasks.contracts.upkeep import Drift
from tasks.monitoring.drift import decide_drift
from tasks.monitoring.summaries import ReferenceSummary, WindowSummary, summarize_reference, summarize_window
from tasks.monitoring.watched import Watched

DIGEST = "a" * 64


def reference_of(frame: pd.DataFrame, types: Mapping[str, Any]) -> ReferenceSummary:
    watched = [Watched(column=name, type=kind) for name, kind in types.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.parquet"
        frame.to_parquet(path)
        return summarize_reference(path, watched, digest=DIGEST)


def window_of(frame: pd.DataFrame, reference: ReferenceSummary) -> WindowSummary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "window.parquet"
        frame.to_parquet(path)
        return summarize_window(path, reference)


def judge(before: pd.DataFrame, now: pd.DataFrame, types: Mapping[str, Any], **more: Any) -> DriftReport:
    reference = reference_of(before, types)
    rules = more.pop("rules", Drift(min_rows=50))
    return decide_drift(reference, window_of(now, reference), rules, **more)


def change_of(report: DriftReport, name: str, test: str | None = None) -> Change:
    found = [each for each in report.changes if each.name == name and test in (None, each.test)]
    return found[0]
