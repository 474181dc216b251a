"""project.yaml of a regression: what is about classes is refused, and what has no sensible default is asked for."""

import copy
import re
from typing import Any

import pytest

from infra.errors import SpecError
from tasks.contracts.project import ProjectSpec
from tasks.project import parse_spec
from tasks.project.problems import write_path
from tests.tasks.test_project import MINIMAL, Where, change, problems_of, write

REGRESSION: dict[str, Any] = {
    "name": "values",
    "source": {"csv": "rows.csv"},
    "columns": {
        "id": {"type": "integer"},
        "at": {"type": "datetime"},
        "size": {"type": "number"},
        "kind": {"type": "category", "allowed": ["a", "b"]},
        "price": {"type": "number"},
    },
    "target": "price",
    "row_id": "id",
    "time": "at",
    "candidates": {"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
    "evaluation": {"metric": "mae", "also": ["r2"]},
    "gate": {
        "policy": "non_inferiority", "margin": 2, "floors": {"r2": 0}, "slices": [{"column": "kind"}], "slice_margin": 3,
    },
    "monitoring": {"performance": {"margin": 1}},
    "retraining": {"watch": {"margin": 1}},
    "schedule": {"cron": "0 6 * * 1"},
}  # fmt: skip


TASKS = [
    (("task",), "classification", "task", "'price' is of type number: its values are no classes"),
    (("evaluation", "positive"), 1, "evaluation.positive", "is about classes, and 'price' is a value"),
    (("split",), {"stratify": True}, "split.stratify", "is about classes"),
    (("decision",), {"threshold": "tuned"}, "decision.threshold", "is about classes"),
    (("candidates", "ridge", "calibrate"), "sigmoid", "candidates.ridge.calibrate", "is about classes"),
    (("candidates", "ridge", "balance"), {"weights": "balanced"}, "candidates.ridge.balance.weights", "is about classes"),
    (("candidates", "ridge", "balance"), {"resample": "over"}, "candidates.ridge.balance.resample", "is about classes"),
    (("evaluation", "metric"), "roc_auc", "evaluation.metric", "a metric of a regression: mae, rmse, r2; received roc_auc"),
    (("evaluation", "also"), ["r2", "f1"], "evaluation.also[1]", "a metric of a regression: .*; received f1"),
    (("gate", "floors"), {"accuracy": 0.5}, "gate.floors.accuracy", "a metric of a regression"),
    (("gate", "guards"), {"log_loss": 0.5}, "gate.guards.log_loss", "a metric of a regression"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "path", "said"), TASKS, ids=[s[2] for s in TASKS])
def test_what_is_about_classes_is_refused_in_a_regression(where: Where, value: object, path: str, said: str) -> None:
    with pytest.raises(SpecError, match=rf": 1 problem\n  line \d+, {re.escape(path)}: .*{said}"):
        parse_spec(write(change(REGRESSION, where, value)), "values")


@pytest.mark.parametrize("kind", ["boolean", "category"])
def test_only_numbers_may_be_declared_values(kind: str) -> None:
    wrong = {**MINIMAL, "task": "regression", "columns": {"size": {"type": "number"}, "kind": {"type": kind}}}
    assert problems_of(wrong)["task"][1] == (
        f"a regression needs a target of type number or integer; 'kind' is of type {kind}."
    )


@pytest.mark.parametrize("decision", [{}, {"metric": "profit"}], ids=["by default", "by name"])
def test_a_threshold_is_not_tuned_for_a_metric_of_ones_own(decision: dict[str, str]) -> None:
    own = {"name": "profit", "function": "m:profit", "direction": "higher", "range": [0, 1], "uses": "labels"}
    wrong = {
        **MINIMAL,
        "evaluation": {"metric": "profit", "metrics": [own]},
        "decision": {"threshold": "tuned", **decision},
    }
    assert "'profit' is your own" in problems_of(wrong)["decision.metric"][1]
    assert problems_of({**wrong, "decision": {"threshold": "tuned", "metric": "f1"}}) == {}


def test_a_metric_of_values_is_refused_among_classes() -> None:
    found = problems_of(change(MINIMAL, ("evaluation",), {"metric": "rmse"}))
    assert "expected a metric of a classification: accuracy, " in found["evaluation.metric"][1]


MARGINS = [("gate", "margin"), ("gate", "slice_margin"), ("monitoring", "performance", "margin"), ("retraining", "watch", "margin")]  # fmt: skip


@pytest.mark.parametrize("where", MARGINS, ids=".".join)
def test_a_margin_in_units_of_the_target_is_asked_for_where_it_counts(where: Where) -> None:
    assert problems_of(REGRESSION) == {}
    wrong = copy.deepcopy(REGRESSION)
    part: Any = wrong
    for step in where[:-1]:
        part = part[step]
    del part[where[-1]]
    ((path, (_, said)),) = problems_of(wrong).items()
    assert path == write_path(where)
    assert said.startswith("expected a number in the units of mae; the key is missing.")
    assert problems_of(change(wrong, ("evaluation", "metric"), "r2")) == {}


def test_a_regression_has_its_own_defaults_and_they_stay_when_it_is_kept() -> None:
    raw = {key: REGRESSION[key] for key in ("name", "source", "columns", "target", "candidates")}
    spec = parse_spec(write(raw), "values")
    assert (spec.is_regression, spec.evaluation.metric, spec.split.stratify) == (True, "rmse", False)
    assert ProjectSpec.model_validate_json(spec.model_dump_json()) == spec
    assert parse_spec(write(REGRESSION), "values").evaluation.metric == "mae"


@pytest.mark.parametrize(("task", "expected"), [(None, False), ("classification", False), ("regression", True)])
def test_a_whole_number_is_a_class_unless_it_is_declared_a_value(task: str | None, expected: bool) -> None:
    raw = change({**MINIMAL, "task": task}, ("columns", "kind"), {"type": "integer"})
    assert parse_spec(write(raw), "small").is_regression is expected
