"""A champion with a step of the project's own: it answers through every command, and never with another function."""

from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest

from tests.flows.conftest import Place

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SPEC = """\
    name: crossed
    source: {csv: rows.csv}
    columns:
      a: {type: number}
      b: {type: number}
      y: {type: category, allowed: [same, other]}
    target: y
    prepare:
      steps: [{function: "features:product", adds: {product: number}}]
    candidates:
      logistic: {estimator: sklearn.linear_model.LogisticRegression}
    selection: {folds: 2}
    gate: {floors: {accuracy: 0.8}}
    """
FEATURES = """\
    import pandas as pd


    def product(frame):
        return pd.DataFrame({"product": frame["a"] * frame["b"]})
    """


def make_crossed(place: Place, root: Path) -> Path:
    folder = root / "crossed"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(dedent(SPEC))
    (folder / "features.py").write_text(dedent(FEATURES))
    values = np.random.default_rng(0).normal(size=(300, 2))
    rows = pd.DataFrame(values, columns=["a", "b"])
    rows.assign(y=np.where(values.prod(axis=1) > 0, "same", "other")).to_csv(folder / "rows.csv", index=False)
    place.environment["KEEPFIT_PROJECTS"] = str(root)
    return folder


def test_a_champion_answers_with_the_function_that_it_was_fitted_with_or_not_at_all(
    place: Place, tmp_path: Path
) -> None:
    folder = make_crossed(place, tmp_path / "projects")
    code, printed = place.keepfit("run", "crossed")
    assert code == 0, printed
    questions = tmp_path / "questions.csv"
    pd.DataFrame({"a": [1.0, -1, 1, -1], "b": [1.0, -1, -1, 1]}).to_csv(questions, index=False)
    assert place.answer("predict", "crossed", str(questions))["rows"] == 4  # type: ignore[index]
    answers = pd.read_csv(tmp_path / "questions.predictions.csv")["prediction"].tolist()
    assert answers == ["same", "same", "other", "other"]
    again = place.answer("rerun", "crossed@1")
    assert again["equal"]  # type: ignore[index]

    features = folder / "features.py"
    features.write_text(features.read_text().replace('frame["a"] *', '-frame["a"] *'))
    code, printed = place.keepfit("predict", "crossed", str(questions))
    assert code == 1, printed
    assert "fitted with another features:product" in printed
    assert "Bring features.py back" in printed
    assert "Traceback" not in printed

    # What succeeds it stands beside it, under another name.
    features.write_text(dedent(FEATURES))
    (folder / "signs.py").write_text(
        dedent(FEATURES)
        .replace('frame["a"] *', 'np.sign(frame["a"]) *')
        .replace("import pandas", "import numpy as np\nimport pandas")
    )
    spec = folder / "project.yaml"
    spec.write_text(spec.read_text().replace("features:", "signs:"))
    code, printed = place.keepfit("run", "crossed")
    assert code == 0, printed
    assert "crossed@1" in printed
