"""A light project that is watched: visits with an id and a time, scored day by day, whose labels come a day later."""

import shutil
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd

from tests.flows.conftest import Place, Zygote

SPEC = """\
    name: visits
    source: {csv: history.csv}
    columns:
      visit: {type: text}
      at: {type: datetime}
      signal: {type: number, min: -100, max: 100}
      noise: {type: number, null_share: 0.1}
      label: {type: category, allowed: [left, right]}
    target: label
    row_id: visit
    time: at
    validation: {quarantine_share: 0.05}
    split: {method: ordered, column: at, test_share: 0.4}
    candidates:
      logistic: {estimator: sklearn.linear_model.LogisticRegression}
    selection: {folds: 2}
    gate: {policy: superiority, floors: {accuracy: 0.55}}
    monitoring:
      window: day
      rows: data:read_rows
      labels: {delay_days: 1, function: data:read_labels}
    """

DATA = '''\
    """The visits of a window, and their labels a day later."""

    from pathlib import Path

    import pandas as pd

    STREAM = Path(__file__).parent / "stream.csv"


    def read_rows(start, end):
        return _between(start, end).drop(columns="label")


    def read_labels(start, end, as_of):
        rows = _between(start, end)
        return rows[pd.to_datetime(rows["at"]) + pd.Timedelta(days=1) <= as_of][["visit", "label"]]


    def _between(start, end):
        rows = pd.read_csv(STREAM)
        times = pd.to_datetime(rows["at"])
        return rows[(times >= start) & (times < end)]
    '''


def make_visits(n: int, start: str, days: int, *, seed: int = 0, sharpness: float = 2.0) -> pd.DataFrame:
    """Return visits spread evenly over days, whose label follows `signal`."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=n)
    chance = 1 / (1 + np.exp(-sharpness * signal))
    times = pd.date_range(start, periods=n, freq=pd.Timedelta(days=days) / n, tz="UTC")
    return pd.DataFrame(
        {
            "visit": [f"v{seed}-{number}" for number in range(n)],
            "at": times.map(lambda at: at.isoformat()),
            "signal": signal,
            "noise": random.normal(size=n),
            "label": np.where(random.random(n) < chance, "right", "left"),
        }
    )


def make_watched(place: Place, root: Path) -> Path:
    """Make the project `visits` the one that is there, with June to train on and July to score; return its folder."""
    folder = root / "visits"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(dedent(SPEC))
    (folder / "data.py").write_text(dedent(DATA))
    make_visits(600, "2013-06-01", 30).to_csv(folder / "history.csv", index=False)
    make_visits(400, "2013-07-01", 10, seed=7).to_csv(folder / "stream.csv", index=False)
    place.environment["KEEPFIT_PROJECTS"] = str(root)
    return folder


def train_watched(zygote: Zygote, home: Path, *, rules: str = "", history: int = 600, stream: int = 400) -> Place:
    """Return a place where visits@1 is champion and ten days of visits come in; tests take a `copy_place`.

    Parameters
    ----------
    rules
        Lines that go below `monitoring` in project.yaml.
    history, stream
        Visits in the thirty days of June and in the ten days of July.
    """
    place = Place(zygote, home / "home")
    place.home.mkdir()
    folder = make_watched(place, home / "projects")
    (folder / "project.yaml").write_text((folder / "project.yaml").read_text() + rules)
    make_visits(history, "2013-06-01", 30).to_csv(folder / "history.csv", index=False)
    make_visits(stream, "2013-07-01", 10, seed=7).to_csv(folder / "stream.csv", index=False)
    told = place.answer("run", "visits")
    assert isinstance(told, dict)
    assert told["status"] == "released"
    return place


def copy_place(trained: Place, folder: Path) -> Place:
    """Return the same place with all that is in it, to change."""
    shutil.copytree(trained.home.parent, folder, dirs_exist_ok=True)
    return Place(trained.zygote, folder / "home", {"KEEPFIT_PROJECTS": str(folder / "projects")})
