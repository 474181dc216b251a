"""A light regression that is watched: rides with an id and a time, whose minutes are known a day later.

It is judged by a metric of its own that is rmse under another name.
"""

from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd

from tests.flows.conftest import Place, Zygote
from tests.flows.watched import DATA

SPEC = """\
    name: rides
    source: {csv: history.csv}
    columns:
      visit: {type: text}
      at: {type: datetime}
      signal: {type: number, min: -100, max: 100}
      noise: {type: number, null_share: 0.1}
      label: {type: number, unit: min, meaning: Minutes of the ride}
    target: label
    row_id: visit
    time: at
    split: {method: ordered, column: at, test_share: 0.4}
    candidates:
      ridge: {estimator: sklearn.linear_model.Ridge}
    selection: {folds: 2}
    evaluation:
      metric: root_error
      metrics:
        - {name: root_error, function: "data:root_error", direction: lower, range: [0, null], uses: values}
      bootstrap_draws: 500
    gate: {policy: superiority, floors: {rmse: 8}}
    monitoring:
      window: day
      rows: data:read_rows
      labels: {delay_days: 1, function: data:read_labels}
      drift: {min_rows: 100}
      performance: {min_rows: 100, margin: 0.5}
    retraining:
      watch: {margin: 0.5}
    """

OWN = """


    def root_error(truth, answers):
        return (((truth - answers) ** 2).mean()) ** 0.5
    """


def make_rides(n: int, start: str, days: int, *, seed: int = 0) -> pd.DataFrame:
    """Return rides spread evenly over days: 60 minutes, ten for each unit of `signal`, give or take five."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=n)
    times = pd.date_range(start, periods=n, freq=pd.Timedelta(days=days) / n, tz="UTC")
    return pd.DataFrame(
        {
            "visit": [f"v{seed}-{number}" for number in range(n)],
            "at": times.map(lambda at: at.isoformat()),
            "signal": signal,
            "noise": random.normal(size=n),
            "label": 60 + 10 * signal + 5 * random.normal(size=n),
        }
    )


def train_rides(zygote: Zygote, home: Path) -> Place:
    """Return a place where rides@1 is champion and ten days of rides come in; tests take a `copy_place`."""
    place = Place(zygote, home / "home")
    place.home.mkdir()
    folder = home / "projects" / "rides"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(dedent(SPEC))
    (folder / "data.py").write_text(dedent(DATA) + dedent(OWN))
    make_rides(1_500, "2013-06-01", 30).to_csv(folder / "history.csv", index=False)
    make_rides(3_000, "2013-07-01", 10, seed=7).to_csv(folder / "stream.csv", index=False)
    place.environment["KEEPFIT_PROJECTS"] = str(folder.parent)
    told = place.answer("run", "rides")
    assert isinstance(told, dict)
    assert told["status"] == "released", told
    return place
