"""A regression is studied as any project is: in the target's unit, where lower may be better."""

import numpy as np
import pandas as pd
import pytest

from tests.tasks.training.study.made import SHORT, of, study

COLUMNS = {name: {"type": "number"} for name in ("a", "b", "y")}
RIDGE = {"estimator": "sklearn.linear_model.Ridge"}
TREE = {"estimator": "sklearn.tree.DecisionTreeRegressor", "params": {"min_samples_leaf": 5}}


def parabola(n: int) -> pd.DataFrame:
    """Return rows whose value is a squared, give or take 0.1: no line says anything of it."""
    rng = np.random.default_rng(0)
    a = rng.uniform(-2, 2, n)
    return pd.DataFrame({"a": a, "b": rng.normal(size=n), "y": a**2 + rng.normal(0, 0.1, n)})


@pytest.mark.parametrize(("metric", "best"), [("rmse", 0.1), ("r2", 1.0)])
def test_a_line_through_a_parabola_is_under_fitted(metric: str, best: float) -> None:
    report = study({"ridge": RIDGE, "tree": TREE}, parabola(600), columns=COLUMNS, evaluation={"metric": metric})
    ridge, tree = of(report, "ridge"), of(report, "tree")
    assert report.best == "tree"
    assert ridge.findings == ("under-fitted",)
    assert ridge.difference is not None
    assert ridge.difference.difference < 0
    assert tree.mean == pytest.approx(best, abs=0.15)
    assert "classes" not in report.parted


@pytest.mark.parametrize(("metric", "constant"), [("rmse", np.mean), ("mae", np.median)])
def test_the_dummy_is_the_best_of_all_constants(metric: str, constant: object) -> None:
    frame = parabola(300)
    report = study({"ridge": RIDGE}, frame, columns=COLUMNS, evaluation={"metric": metric}, study=SHORT)
    off = frame["y"] - constant(frame["y"])  # type: ignore[operator]
    spread = float(np.sqrt(np.mean(off**2))) if metric == "rmse" else float(np.abs(off).mean())
    assert report.dummy == pytest.approx(spread, rel=0.05)
