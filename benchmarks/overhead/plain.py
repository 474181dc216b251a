"""The work of `keepfit run iris` in a plain script: scikit-learn, Great Expectations, matplotlib and skops, called directly.

No registry, no store, no ledger, no gate against a champion, no lease, no fresh process: what those cost is the
difference that `python -m benchmarks.overhead` measures. The functions are wired into bare Prefect next door.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

FOLDS, SEED = 2, 0
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def read() -> Any:
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    frame = data.frame.set_axis([*FEATURES, "species"], axis=1)
    frame["species"] = frame["species"].map(dict(enumerate(data.target_names)))
    return frame


def validate(frame: Any) -> dict[str, Any]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("iris").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    )
    suite = gx.ExpectationSuite(name="iris")
    for name in FEATURES:
        suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column=name))
        suite.add_expectation(gx.expectations.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=30))
    suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column="species"))
    suite.add_expectation(
        gx.expectations.ExpectColumnValuesToBeInSet(column="species", value_set=["setosa", "versicolor", "virginica"])
    )
    suite = context.suites.add(suite)
    definition = gx.ValidationDefinition(data=batch, suite=suite, name="iris")
    context.validation_definitions.add(definition)
    result = definition.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY")
    if not result.success:
        raise SystemExit("the data breaks its contract")
    return result.to_json_dict()


def split(frame: Any) -> tuple[Any, Any]:
    from sklearn.model_selection import train_test_split

    return tuple(train_test_split(frame, test_size=0.2, random_state=42))


def candidates() -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found: dict[str, Any] = {"knn-3": KNeighborsClassifier(n_neighbors=3)}
    found["logistic"] = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return found


def select_and_fit(train: Any) -> tuple[Any, dict[str, Any]]:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    X, y = train[FEATURES], train["species"]
    folds = StratifiedKFold(n_splits=FOLDS, shuffle=True, random_state=SEED)
    scores = {name: cross_val_score(model, X, y, cv=folds) for name, model in candidates().items()}
    return candidates()["knn-3"].fit(X, y), scores


def evaluate(model: Any, test: Any) -> dict[str, Any]:
    import numpy as np

    truth, predicted = test["species"].to_numpy(), model.predict(test[FEATURES])
    hits = (truth == predicted).astype(float)
    draws = np.random.default_rng(0).integers(0, len(hits), size=(2000, len(hits)))
    low, high = np.percentile(hits[draws].mean(axis=1), [2.5, 97.5])
    return {
        "accuracy": hits.mean(),
        "low": low,
        "high": high,
        "proba": model.predict_proba(test[FEATURES]),
        "truth": truth,
    }


def draw(model: Any, test: Any, figures: dict[str, Any], scores: dict[str, Any], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.calibration import CalibrationDisplay
    from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay

    ConfusionMatrixDisplay.from_estimator(model, test[FEATURES], test["species"])
    plt.savefig(folder / "confusion.png")
    for display, name in (
        (RocCurveDisplay, "roc"),
        (PrecisionRecallDisplay, "pr"),
        (CalibrationDisplay, "calibration"),
    ):
        _, axes = plt.subplots()
        for place, species in enumerate(model.classes_):
            hit = (test["species"] == species).astype(int)
            display.from_predictions(hit, figures["proba"][:, place], ax=axes)
        plt.savefig(folder / f"{name}.png")
    _, axes = plt.subplots()
    axes.boxplot(list(scores.values()))
    plt.savefig(folder / "selection.png")
    _, axes = plt.subplots()
    axes.errorbar([figures["accuracy"]], [0])
    plt.savefig(folder / "metrics.png")
    plt.close("all")


def save(model: Any, frame: Any, folder: Path) -> None:
    import skops.io

    skops.io.dump(model, folder / "model.skops")
    frame.to_parquet(folder / "rows.parquet")


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    frame = read()
    validate(frame)
    train, test = split(frame)
    model, scores = select_and_fit(train)
    figures = evaluate(model, test)
    draw(model, test, figures, scores, folder)
    save(model, frame, folder)
    print(f"accuracy {figures['accuracy']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]")


if __name__ == "__main__":
    main()
