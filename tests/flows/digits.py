"""scikit-learn's digits as a project of several labels a row, watched day by day; the labels come a day later."""

from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import yaml

from tests.flows.conftest import Place, Zygote
from tests.flows.watched import DATA
from tests.tasks.models.label_rows import LABELS, LOGISTIC, raw_spec, read_digits

HISTORY = 900


def write_spec() -> str:
    raw = raw_spec({"logistic": LOGISTIC})
    columns = {"visit": {"type": "text"}, "at": {"type": "datetime"}, **raw["columns"]}
    spec = {
        **raw,
        "source": {"csv": "history.csv"},
        "columns": columns,
        "row_id": "visit",
        "time": "at",
        "split": {"method": "ordered", "column": "at", "test_share": 0.4},
        "selection": {"folds": 2},
        "evaluation": {"also": ["label_f1_macro", "hamming_loss", "ranking_precision"], "bootstrap_draws": 300},
        "gate": {"floors": {"label_f1_micro": 0.7, "hamming_loss": 0.3}, "guards": {"ranking_loss": 0.1}},
        "monitoring": {
            "window": "day",
            "rows": "data:read_rows",
            "labels": {"delay_days": 1, "function": "data:read_labels"},
            "drift": {"min_rows": 100},
            "performance": {"min_rows": 100, "margin": 0.05},
        },
    }
    return yaml.safe_dump(spec, sort_keys=False)


def make_rows() -> pd.DataFrame:
    """Return all digits in a random order: the first 900 in June, the others in three days of July."""
    frame = read_digits(1_797).sample(frac=1, random_state=0).reset_index(drop=True)
    june = pd.date_range("2013-06-01", "2013-06-30", periods=HISTORY, tz="UTC")
    july = pd.date_range("2013-07-01", "2013-07-03T23:59", periods=len(frame) - HISTORY, tz="UTC")
    at = [moment.floor("s").isoformat() for moment in [*june, *july]]
    return frame.assign(visit=[f"v{number}" for number in np.arange(len(frame))], at=at)


def train_digits(zygote: Zygote, home: Path) -> Place:
    """Return a place where digits@1 is champion and three days of digits come in; tests take a `copy_place`."""
    place = Place(zygote, home / "home")
    place.home.mkdir()
    folder = home / "projects" / "digits"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(write_spec())
    rows = make_rows()
    labelled = dedent(DATA).replace('columns="label"', f"columns={LABELS}").replace('"label"', str(LABELS)[1:-1])
    (folder / "data.py").write_text(labelled)
    rows[:HISTORY].to_csv(folder / "history.csv", index=False)
    rows[HISTORY:].to_csv(folder / "stream.csv", index=False)
    place.environment["KEEPFIT_PROJECTS"] = str(folder.parent)
    return place
