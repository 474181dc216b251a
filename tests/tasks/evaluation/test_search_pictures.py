"""Pictures of a search: what is drawn is what was tried."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.tuning import SearchReport, Space, TrialRecord, TunedCandidate
from tasks.evaluation.search_pictures import best_so_far, draw_coordinates, draw_studies, place_of, read_studies

SEARCH = {
    "depth": Space(low=1, high=9),
    "rate": Space(low=0.001, high=1.0, log=True),
    "kind": Space(choices=["a", None, True]),
}
PNG = b"\x89PNG"


def trial(number: int, value: float | None, state: Any = "complete") -> TrialRecord:
    params = {"depth": 1 + number % 9, "rate": 0.1, "kind": ("a", None, True)[number % 3]}
    return TrialRecord(number=number, params=params, state=state, scores=(), value=value)


def study(trials: list[TrialRecord], direction: Any = "higher", **changes: Any) -> SearchReport:
    best = next(one.number for one in trials if one.state == "complete")
    values = {"candidate": "tree", "metric": "accuracy", "search": SEARCH, "importance": {"depth": 0.8, "rate": 0.2}}
    return SearchReport(**{**values, "direction": direction, "trials": tuple(trials), "best": best, **changes})


MIXED = [trial(0, None, "failed"), trial(1, 0.5), trial(2, 0.9, "pruned"), trial(3, 0.7), trial(4, 0.6)]


@pytest.mark.parametrize(("direction", "values"), [("higher", [0.5, 0.5, 0.7, 0.7]), ("lower", [0.5, 0.5, 0.5, 0.5])])
def test_the_best_so_far_is_of_complete_trials_from_the_first_of_them_on(direction: Any, values: list[float]) -> None:
    assert best_so_far(study(MIXED, direction)) == ([2, 3, 4, 5], values)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_best_so_far_never_gets_worse(values: list[float]) -> None:
    _, best = best_so_far(study([trial(at, value) for at, value in enumerate(values)]))
    assert best == sorted(best)
    assert best[-1] == max(values)


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [("depth", 1, 0), ("depth", 5, 0.5), ("rate", 0.001, 0), ("rate", 1.0, 1), ("kind", "a", 0), ("kind", True, 1)],
)
def test_a_value_lies_where_its_space_has_it(name: str, value: Any, place: float) -> None:
    assert place_of(SEARCH[name], value) == pytest.approx(place)


def test_a_scale_of_factors_is_drawn_as_one() -> None:
    assert place_of(SEARCH["rate"], 0.1) == pytest.approx(2 / 3)


def test_each_study_has_its_pictures_and_the_same_numbers_give_the_same_bytes() -> None:
    made = [study(MIXED), study(MIXED, candidate="knn", importance={})]
    stored = b"[" + b",".join(one.model_dump_json().encode() for one in made) + b"]"
    pictures = draw_studies(read_studies(stored), [])
    names = {"tree": ("history", "values", "importance"), "knn": ("history", "values")}
    assert set(pictures) == {f"Tuning of {name}: {kind}" for name, kinds in names.items() for kind in kinds}
    assert all(data.startswith(PNG) for data in pictures.values())
    assert draw_studies(made, []) == pictures


def test_the_sentence_stands_in_the_picture() -> None:
    found = TunedCandidate(
        candidate="tree", study="0" * 64, method="tpe", metric="accuracy", params={}, trial=1, value=0.5, trials=5,
        best=(), reasons={"history": "It went well."},
    )  # fmt: skip
    title = "Tuning of tree: history"
    assert draw_studies([study(MIXED)], [found])[title] != draw_studies([study(MIXED)], [])[title]


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5]], ids=["one trial", "all alike"])
def test_trials_that_do_not_differ_are_drawn_as_well(values: list[float]) -> None:
    assert draw_coordinates(study([trial(at, value) for at, value in enumerate(values)])).startswith(PNG)
