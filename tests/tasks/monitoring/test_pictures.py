"""The picture of what drifted: which columns, in which order, and that both sides are shares of all their rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts.monitoring import Change, DriftReport
from tasks.contracts.upkeep import Drift
from tasks.monitoring.drift import Held, decide_drift
from tasks.monitoring.pictures import MOST_PANELS, draw_drift, find_panel
from tasks.monitoring.ranking import choose_columns, rank_changes
from tests.tasks.monitoring.builders import reference_of, window_of

LARGEST = 200_000
"""Bytes of a picture on a page; a third more once it is text."""

NASTY = ["$x$ \\frac{1", "_a|b", "<b>&", "日本", "e" * 80, "", "a\nb", "%s"]


def change(name: str, *, importance: float | None = None, effect: float = 0.1, drifted: bool = True) -> Change:
    return Change(
        name=name, aspect="feature", type="number", test="ks", effect=effect, threshold=0.05,
        importance=importance, drifted=drifted,
    )  # fmt: skip


def report_of(*changes: Change) -> DriftReport:
    found = sorted((each for each in changes if each.drifted), key=lambda each: -(each.effect or 0))
    return DriftReport(
        reference="the training rows", reference_digest="a" * 64, window_rows=1_000, changes=changes,
        drifted=tuple(each.name for each in found), alarm=True, reason="", false_alarm_rate=0.01,
    )  # fmt: skip


def held_of(before: pd.DataFrame, now: pd.DataFrame, types: dict[str, str]) -> Held:
    reference = reference_of(before, types)
    return Held(reference, window_of(now, reference))


def decide(held: Held) -> DriftReport:
    return decide_drift(held.reference, held.window, Drift(min_rows=50))


def test_people_read_first_what_drifted_and_then_what_nearly_did():
    changes = (
        change("a", drifted=False, effect=0.02),
        change("b"),
        change("c", drifted=False, effect=0.04),
        change("d", effect=0.9),
    )
    assert [each.name for each in rank_changes(report_of(*changes))] == ["d", "b", "c", "a"]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20))
def test_the_picture_shows_at_most_six_and_none_that_matters_less_than_one_left_out(columns):
    changes = [change(f"c{at}", importance=share, drifted=moved) for at, (share, moved) in enumerate(columns)]
    chosen = choose_columns(report_of(*changes), MOST_PANELS)
    assert all(each.drifted for each in chosen)
    shares = [each.importance for each in chosen]
    assert shares == sorted(shares, reverse=True)
    left_out = [each.importance for each in changes if each.drifted and each not in chosen]
    assert len(chosen) == min(MOST_PANELS, len(chosen) + len(left_out))
    assert not left_out or max(left_out) <= min(shares)


def test_a_column_with_two_changes_has_one_place():
    twice = [change("a"), change("a").model_copy(update={"test": "nulls"})]
    assert len(choose_columns(report_of(*twice), MOST_PANELS)) == 1


def test_without_drift_there_is_no_picture():
    rows = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2_000)})
    held = held_of(rows, rows, {"x": "number"})
    assert draw_drift(decide(held), [held], "2013-07") is None


NUMBERS = {
    "continuous": lambda rng, n: rng.normal(size=n),
    "nearly always zero": lambda rng, n: np.where(rng.random(n) < 0.997, 0.0, rng.random(n)),
    "few values": lambda rng, n: rng.integers(0, 5, n).astype(float),
    "many ties": lambda rng, n: rng.integers(0, 90, n) / 4,
    "infinities": lambda rng, n: np.where(rng.random(n) < 0.01, np.inf, rng.normal(size=n)),
    "a constant": lambda rng, n: np.ones(n),
    "missing": lambda rng, n: np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
}


@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS)
@given(shift=st.floats(-50, 50), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_the_bars_of_a_number_are_all_of_its_rows(make, shift, seed):
    rng = np.random.default_rng(seed)
    held = held_of(pd.DataFrame({"x": make(rng, 800)}), pd.DataFrame({"x": make(rng, 300) + shift}), {"x": "number"})
    panel = find_panel(change("x"), [held])
    assert panel is not None
    for side in (panel.bars.reference, panel.bars.window):
        assert side.min() >= -1e-12
        assert side.sum() == pytest.approx(1)


def test_what_lies_beyond_the_reference_stands_in_the_outermost_bar():
    rng = np.random.default_rng(0)
    held = held_of(pd.DataFrame({"x": rng.random(2_000)}), pd.DataFrame({"x": rng.random(500) + 9}), {"x": "number"})
    panel = find_panel(change("x"), [held])
    assert panel is not None
    assert panel.bars.window[-1] == pytest.approx(1)
    assert panel.bars.reference[-1] < 0.02


def test_the_bars_of_a_value_are_the_largest_changes_and_all_others():
    rng = np.random.default_rng(0)
    before = pd.DataFrame({"c": rng.choice([f"v{at}" for at in range(40)], 4_000)})
    now = pd.DataFrame({"c": np.where(rng.random(1_000) < 0.5, "v7", rng.choice(before["c"], 1_000))})
    panel = find_panel(change("c"), [held_of(before, now, {"c": "category"})])
    assert panel is not None
    assert panel.bars.labels[0] == "v7"
    assert panel.bars.labels[-1] == "all others"
    assert panel.bars.window.sum() == pytest.approx(1)


def test_of_texts_the_words_that_came_are_shown_first():
    before = pd.DataFrame({"t": ["the plane was late", "the gate was shut"] * 60})
    now = pd.DataFrame({"t": ["the strike went on", "the gate was shut"] * 30})
    panel = find_panel(change("t"), [held_of(before, now, {"t": "text"})])
    assert panel is not None
    assert {"strike", "went", "on"} <= set(panel.bars.labels[:6])
    place = panel.bars.labels.index("strike")
    assert (panel.bars.reference[place], panel.bars.window[place]) == (0, pytest.approx(0.5))


def test_any_names_and_values_are_drawn_within_bounds_and_twice_the_same():
    rng = np.random.default_rng(0)
    types = {f"$n_{at}$ {'wide ' * 30}": "number" for at in range(5)} | {f"c|{at}": "category" for at in range(5)}

    def rows(n: int, moved: float) -> pd.DataFrame:
        words = [*NASTY, *(["new"] if moved else [])]
        return pd.DataFrame(
            {
                name: rng.normal(moved, 1, n) if kind == "number" else rng.choice(words, n)
                for name, kind in types.items()
            }
        )

    held = held_of(rows(2_000, 0), rows(800, 2), types)
    report = decide(held)
    assert len(report.drifted) == 10
    picture = draw_drift(report, [held], "2013-07")
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < LARGEST
    assert draw_drift(report, [held], "2013-07") == picture
