"""The article's second example on real reviews, whole: data to released model, raw text to predictions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("imdb")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Path:
    """A KEEPFIT_HOME in which imdb was run once."""
    home = tmp_path_factory.mktemp("imdb")
    (home / "prefect_url").write_text(prefect_url)
    (home / "outcome.json").write_text(keepfit(home, "run", "imdb", "--json"))
    return home


def keepfit(home: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("keepfit")), *arguments]
    url = (home / "prefect_url").read_text()
    environment = {**os.environ, "KEEPFIT_HOME": str(home), "PREFECT_API_URL": url}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def outcome(home: Path) -> dict[str, Any]:
    return json.loads((home / "outcome.json").read_text())


def test_the_articles_network_reaches_its_accuracy_on_reviews_of_other_films(outcome: dict[str, Any]) -> None:
    evaluation, fit = outcome["evaluation"], outcome["fit"]
    tested = {fit["chosen"]["candidate"]: evaluation["metrics"], **evaluation["beside"]}
    (accuracy,) = [metric for metric in tested["network"] if metric["metric"] == "accuracy"]
    assert accuracy["n"] > 4900
    assert accuracy["value"] >= 0.85
    assert outcome["status"] == "released"


def test_raw_text_is_answered(home: Path) -> None:
    path = home / "reviews.csv"
    pd.DataFrame({"review": ["A wonderful, moving film. I loved it.", "Dull, badly acted, a waste of time."]}).to_csv(
        path, index=False
    )
    written = json.loads(keepfit(home, "predict", "imdb", str(path), "--json"))
    answers = pd.read_csv(written["output"])
    assert answers["prediction"].tolist() == [1, 0]
    assert answers["version"].tolist() == ["imdb@1"] * 2
