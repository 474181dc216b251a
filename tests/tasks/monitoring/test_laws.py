"""Laws of the drift verdict and of the counts that it rests on."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts.monitoring import DriftReport
from tasks.monitoring import streaming
from tasks.monitoring.summaries import WindowSummary, summarize_reference, summarize_window
from tasks.monitoring.watched import Watched
from tests.tasks.monitoring.builders import DIGEST, judge

TYPES = {"x": "number", "c": "category", "b": "boolean", "t": "datetime"}
SHIFTS = st.sampled_from([0.0, 0.15, 0.3, 1.0])


def make_rows(seed: int, n: int, shift: float = 0.0) -> pd.DataFrame:
    """Rows with ties, gaps and a new value; `shift` moves the number and the shares."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.1, np.nan, np.round(rng.normal(shift, 1, n), 1)),
            "c": rng.choice(["a", "b", "c"], n, p=[0.5 - shift / 4, 0.3 + shift / 4, 0.2]),
            "b": rng.random(n) < 0.5,
            "t": pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 365 * 24, n), unit="h"),
        }
    )


BEFORE = make_rows(0, 800)


def verdicts(report: DriftReport) -> dict[tuple[str, str], tuple[object, bool]]:
    return {(each.name, each.test): (pytest.approx(each.effect), each.drifted) for each in report.changes}


@settings(max_examples=10)
@given(st.randoms(use_true_random=False), SHIFTS)
def test_neither_the_order_of_the_window_s_rows_nor_of_the_reference_s_counts(random, shift) -> None:
    now = make_rows(1, 300, shift)
    orders = [random.sample(range(len(rows)), len(rows)) for rows in (BEFORE, now)]
    assert judge(BEFORE.iloc[orders[0]], now.iloc[orders[1]], TYPES) == judge(BEFORE, now, TYPES)


@settings(max_examples=10)
@given(st.permutations(["a", "b", "c"]), SHIFTS)
def test_labels_may_be_permuted(names, shift) -> None:
    now, to = make_rows(1, 300, shift), dict(zip("abc", names, strict=True))
    renamed = judge(BEFORE.assign(c=BEFORE["c"].map(to)), now.assign(c=now["c"].map(to)), TYPES)
    plain = judge(BEFORE, now, TYPES)
    assert verdicts(renamed) == verdicts(plain)
    assert (renamed.alarm, renamed.drifted) == (plain.alarm, plain.drifted)


CONSTANTS = {
    "number": ("number", 5.0),
    "no number": ("number", np.nan),
    "infinity": ("number", np.inf),
    "category": ("category", "a"),
    "truth": ("boolean", True),
    "time": ("datetime", pd.Timestamp("2013-07-01", tz="UTC")),
    "text": ("text", "delayed again"),
    "empty text": ("text", ""),
}


@pytest.mark.parametrize(("kind", "value"), CONSTANTS.values(), ids=CONSTANTS)
@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_a_constant_column_never_makes_an_alarm(kind, value, shift) -> None:
    now = make_rows(1, 300, shift)
    plain = judge(BEFORE, now, TYPES)
    beside = judge(BEFORE.assign(k=value), now.assign(k=value), {**TYPES, "k": kind})
    assert beside.alarm <= plain.alarm
    assert set(beside.drifted) <= set(plain.drifted)


def test_alone_a_constant_column_is_no_alarm() -> None:
    for kind, value in CONSTANTS.values():
        report = judge(pd.DataFrame({"k": [value] * 300}), pd.DataFrame({"k": [value] * 200}), {"k": kind})
        assert not report.alarm, (kind, value)


def count(rows: pd.DataFrame, row_group_size: int) -> WindowSummary:
    watched = [Watched(column=name, type=kind) for name, kind in TYPES.items()]
    with tempfile.TemporaryDirectory() as folder:
        before, now = Path(folder) / "before.parquet", Path(folder) / "now.parquet"
        BEFORE.to_parquet(before)
        rows.to_parquet(now, row_group_size=row_group_size)
        return summarize_window(now, summarize_reference(before, watched, digest=DIGEST))


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(1, 500), st.integers(1, 2_000))
def test_rows_read_in_chunks_of_any_size_give_the_same_counts(row_group_size, cells) -> None:
    rows = make_rows(2, 400, 0.3)
    whole = count(rows, len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "CELLS", cells)
        assert count(rows, row_group_size) == whole


def test_counts_add_up_to_the_rows() -> None:
    found = count(make_rows(2, 400), 7)
    assert found.rows == 400
    assert {each.present + each.missing for each in found.measures} == {400}
