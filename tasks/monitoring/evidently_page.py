"""Evidently's drift report as an HTML page for people, on a bounded sample; the decision is made elsewhere, on all rows."""

import os
import warnings
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.monitoring.streaming import open_rows, sample_rows
from tasks.monitoring.watched import Watched

MOST_ROWS = 10_000
"""Of each side. Evidently takes 2.3 s and 5 MB for so many; at a million rows it takes a minute and 1.4 GB."""

MOST_VALUES = 50
NUM_METHOD, CAT_METHOD = "wasserstein", "jensenshannon"
"""Distances at any size: Evidently's own choice changes from p-values to distances at 1,000 rows."""

FEWEST_VALUES = 2


def write_page(
    reference: Path,
    window: Path,
    watched: Sequence[Watched],
    page: Path,
    *,
    title: str = "Drift",
    seed: int = 0,
) -> Path | None:
    """Write the page and return its path; None where no column can be shown.

    Columns of text, time and pictures are left out, and those that hold fewer than two values on either side, which Evidently
    cannot compare; the page names them.

    Parameters
    ----------
    reference, window
        Parquet files.
    watched
        The columns to show.
    page
        Where the page goes; it is self-contained, about 5 MB.
    seed
        Of the two samples.
    """
    shown = [each for each in watched if each.type not in ("text", "datetime", "image")]
    before, now = (_read_sample(path, shown, seed) for path in (reference, window))
    usable = [each for each in shown if min(before[each.column].count(), now[each.column].count()) >= FEWEST_VALUES]
    if not usable:
        return None
    for each in usable:
        if each.type not in ("number", "integer"):
            before[each.column], now[each.column] = _fold_rare(before[each.column], now[each.column])
    left_out = sorted({each.column for each in watched} - {each.column for each in usable})
    html = _render(before, now, usable)
    rows = [open_rows(path, []).metadata.num_rows for path in (reference, window)]
    page.write_text(html.replace("<body>", f"<body>{_say_sample(title, rows, left_out)}", 1), encoding="utf-8")
    return page


def _read_sample(path: Path, shown: Sequence[Watched], seed: int) -> pd.DataFrame:
    rows = sample_rows(path, [each.column for each in shown], MOST_ROWS, seed).to_pandas()
    read: dict[str, Any] = {}
    for each in shown:
        if each.type in ("number", "integer"):
            values = pd.to_numeric(rows[each.column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            read[each.column] = np.where(np.isfinite(values), values, np.nan)
        else:
            column = rows[each.column].astype(object)
            read[each.column] = column.where(column.isna(), column.astype(str)).where(column.notna(), None)
    return pd.DataFrame(read)


def _fold_rare(before: "pd.Series", now: "pd.Series") -> tuple["pd.Series", "pd.Series"]:
    """Return both columns with their most frequent values, and the others as one: hundreds make no readable plot."""
    counts = pd.concat([before, now]).value_counts()
    if len(counts) <= MOST_VALUES:
        return before, now
    kept = set(counts.index[:MOST_VALUES])
    folded = [column.where(column.isin(kept) | column.isna(), "(others)") for column in (before, now)]
    return folded[0], folded[1]


def _render(before: pd.DataFrame, now: pd.DataFrame, usable: Sequence[Watched]) -> str:
    os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently asks for it while it is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says of the libraries under it
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        numbers = [each.column for each in usable if each.type in ("number", "integer")]
        names = [each.column for each in usable]
        definition = DataDefinition(
            numerical_columns=numbers, categorical_columns=[name for name in names if name not in numbers]
        )
        report = Report([DataDriftPreset(columns=names, num_method=NUM_METHOD, cat_method=CAT_METHOD)])
        sides = [Dataset.from_pandas(rows[names], data_definition=definition) for rows in (now, before)]
        return str(report.run(*sides).get_html_str(as_iframe=False))


def _say_sample(title: str, rows: Sequence[int], left_out: Sequence[str]) -> str:
    before, now = (f"{min(each, MOST_ROWS):,} of {each:,} rows" for each in rows)
    words = f"A sample: {now} of the window against {before} of the reference. keepfit's decision rests on all rows."
    if left_out:
        words += f" Not shown: {', '.join(left_out)}."
    return f'<div style="padding:16px;font-family:sans-serif"><b>{escape(title)}</b><br>{escape(words)}</div>'
