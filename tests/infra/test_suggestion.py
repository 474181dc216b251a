"""The nearest match."""

import pytest

from infra.suggestion import suggest


@pytest.mark.parametrize(
    ("word", "choices", "nearest"),
    [
        ("metrc", ["metric", "margin"], "metric"),
        ("mni", ["min", "max", "unit"], "min"),
        ("targte", ["target", "time"], "target"),
        ("Accuracy", ["accuracy", "log_loss"], "accuracy"),
        ("stratified", ["stratify", "seed"], "stratify"),
        ("colum", ["columns", "column"], "column"),
    ],
)
def test_the_nearest_choice_is_offered(word: str, choices: list[str], nearest: str) -> None:
    assert suggest(word, choices) == f" Did you mean {nearest!r}?"


@pytest.mark.parametrize("word", ["zebra", "", "x", "a" * 10_000])
def test_nothing_is_offered_where_nothing_is_near(word: str) -> None:
    assert suggest(word, ["metric", "margin", "min"]) == ""


def test_the_order_of_the_choices_does_not_matter() -> None:
    assert suggest("mix", ["min", "max"]) == suggest("mix", ["max", "min"])
