"""A regression watched: its answers and its target as numbers, its figure on matured rows, what its features are worth."""

import numpy as np
import pandas as pd
import pytest

from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.project import Evaluation, ProjectSpec, Source
from tasks.contracts.upkeep import Monitoring, Performance
from tasks.monitoring.importance import measure_importance
from tasks.monitoring.performance import measure_performance
from tasks.monitoring.watched import watch_predictions, watch_target
from tests.tasks.monitoring.builders import change_of, judge


def spec_of(metric: str = "rmse", kind: str = "number", **performance: float) -> ProjectSpec:
    return ProjectSpec(
        name="demo",
        source=Source(function="demo:load"),
        columns={
            "id": Column(type="integer"),
            "at": Column(type="datetime"),
            "x": Column(type="number"),
            "z": Column(type="number"),
            "y": Column(type=kind),
        },
        target="y",
        task="regression",
        row_id="id",
        time="at",
        candidates={"ridge": Candidate(estimator="sklearn.linear_model.Ridge")},
        evaluation=Evaluation(metric=metric, bootstrap_draws=300),
        monitoring=Monitoring(performance=Performance(**performance)),
    )


def matured(n: int, error: float, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    truth = random.normal(60, 10, n)
    return pd.DataFrame({"truth": truth, "prediction": truth + error * random.normal(size=n)})


def measure(rows: pd.DataFrame, spec: ProjectSpec, expected: float | None):
    return measure_performance(rows, spec, classes=(), scored=len(rows), due=len(rows), expected=expected)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
@pytest.mark.parametrize(("error", "fell"), [(5.0, False), (8.0, True)], ids=["as ever", "worse"])
def test_a_clear_fall_is_found_in_the_units_of_the_target(metric: str, error: float, fell: bool) -> None:
    spec = spec_of(metric, margin=0.1 if metric == "r2" else 0.5)
    expected = measure(matured(2_000, 5.0), spec, None).value
    report = measure(matured(600, error, seed=1), spec, expected)
    assert report.fell is fell
    assert report.low < report.value < report.high


def test_one_value_alone_has_no_r2_and_that_is_said() -> None:
    rows = matured(400, 5.0).assign(truth=3.0)
    report = measure(rows, spec_of("r2"), 0.5)
    assert report.fell is None
    assert "undefined on these 400 rows: one class or value alone" in report.reason


@pytest.mark.parametrize("kind", ["number", "integer"])
def test_answers_and_target_are_watched_as_numbers(kind: str) -> None:
    (target,) = watch_target(spec_of(kind=kind))
    (answers,) = watch_predictions(["row_id", "time", "prediction", "version"], regression=True)
    assert (target.type, answers.type) == ("number", "number")


def test_a_shift_of_the_answers_is_caught_and_none_is_silent() -> None:
    random = np.random.default_rng(0)
    before, same = (pd.DataFrame({"prediction": random.normal(60, 10, 3_000)}) for _ in range(2))
    alarms = [judge(before, frame, {"prediction": "number"}).alarm for frame in (same, same + 5)]
    assert alarms == [False, True]
    assert "to higher values" in change_of(judge(before, same + 5, {"prediction": "number"}), "prediction").note


class Line:
    """Answers 3 x and looks at nothing else."""

    classes = ()

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return 3 * frame["x"].to_numpy()


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_what_the_value_follows_from_is_all_that_matters(metric: str) -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.normal(size=300), "z": random.normal(size=300)})
    rows["y"] = 3 * rows["x"] + random.normal(size=300)
    assert measure_importance(Line(), rows, spec_of(metric)) == {"x": 1.0, "z": 0.0}
