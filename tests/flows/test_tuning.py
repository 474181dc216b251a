"""Penguins with a search: killed between its trials it ends as if it had not been; and what was found can be read."""

import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows.fitting import fit
from infra.registry.registry import open_registry
from infra.settings import load_settings
from infra.workspace import open_workspace
from tests.flows.conftest import ROOT, Place, Zygote
from tests.flows.desk import open_desk
from tests.flows.workers import Shop

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("tuning")]

POINTS = ("trial.before_commit", "trial.after_commit")
TRIALS = 5
CANDIDATES = """\
candidates:
  knn:
    estimator: sklearn.neighbors.KNeighborsClassifier
    search:
      n_neighbors: {low: 1, high: 60}
      weights: {choices: [uniform, distance]}
      prepare.number.scale: {choices: [none, standard]}
  logistic:
    estimator: sklearn.linear_model.LogisticRegression
    params: {max_iter: 1000}

selection: {folds: 3, rule: best}
tuning: {trials: 5, batch: 2, pruning: median}
"""


@pytest.fixture(scope="module")
def make_place(zygote: Zygote, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    folder = tmp_path_factory.mktemp("projects")
    shutil.copytree(ROOT / "projects" / "penguins", folder / "penguins", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "penguins" / "project.yaml"
    text, count = re.subn(
        r"^candidates:.*?^selection: .*?\n", CANDIDATES, path.read_text(), flags=re.DOTALL | re.MULTILINE
    )
    assert count == 1
    path.write_text(text)

    def make() -> Place:
        home = tmp_path_factory.mktemp("home")
        shutil.copytree(empty_registry, home, dirs_exist_ok=True)
        return Place(zygote, home, {"KEEPFIT_PROJECTS": str(folder)})

    return make


@pytest.fixture(scope="module")
def tuned(make_place: Callable[[], Place]) -> Place:
    """A place where penguins@1 was tuned without a disturbance."""
    place = make_place()
    code, said = place.keepfit("run", "penguins")
    assert code == 0, said
    assert "knn was tuned in 5 trials by tpe" in said
    return place


def trials_of(place: Place) -> list[Any]:
    with open_registry(place.database) as registry:
        (study,) = registry.studies("penguins")
        rows = registry.trials(study.key)
        ends = [row.subject for row in registry.audit("penguins", limit=1000) if row.action == "trial.finish"]
    assert sorted(ends) == [f"{study.key}/{row.number}" for row in rows], "a trial was lost, or ended twice"
    return [(study.key, row.number, row.params, row.state, row.scores, row.value) for row in rows]


def fit_of(place: Place) -> Any:
    return place.answer("show", "penguins@1")["manifest"]["fit"]


def test_after_kill_9_between_trials_the_same_trials_and_the_same_model_come_out(
    tuned: Place, make_place: Callable[[], Place]
) -> None:
    place = make_place()
    for killed, point in enumerate([*POINTS, *POINTS], start=1):
        code, said = place.keepfit("run", "penguins", KEEPFIT_FAULT_POINT=point)
        assert code == -signal.SIGKILL, f"{point}: the fault did not fire: {said}"
        with open_registry(place.database) as registry:
            (study,) = registry.studies("penguins")
            done = [row.number for row in registry.trials(study.key) if row.state != "running"]
        assert done == list(range(killed // 2)), f"after {point}"
    code, said = place.keepfit("run", "penguins")
    assert code == 0, said
    assert trials_of(place) == trials_of(tuned)
    assert len(trials_of(place)) == TRIALS
    undisturbed, disturbed = fit_of(tuned), fit_of(place)
    assert disturbed["tuned"] == undisturbed["tuned"]
    assert disturbed["chosen"]["content"] == undisturbed["chosen"]["content"]


def test_the_version_says_which_values_were_found_and_why(tuned: Place, tmp_path: Path) -> None:
    (found,) = fit_of(tuned)["tuned"]
    assert (found["candidate"], found["method"], found["trials"]) == ("knn", "tpe", TRIALS)
    assert set(found["params"]) == {"n_neighbors", "weights", "prepare.number.scale"}
    page = tmp_path / "page.html"
    code, said = tuned.keepfit("show", "penguins@1", "--page", str(page))
    assert code == 0, said
    assert f"n_neighbors {found['params']['n_neighbors']}" in said
    text = page.read_text()
    for title in ("history", "values", "importance"):
        assert found["reasons"][title].split(",")[0] in text
    assert "How knn was tuned" in text
    pictures = tuned.answer("show", "penguins@1")["manifest"]["evaluation"]["pictures"]
    assert {"Tuning of knn: history", "Tuning of knn: values"} <= set(pictures)


def test_workers_of_the_pool_are_asked_for_help_make_the_same_trials_and_are_let_go(
    tuned: Place,
    make_place: Callable[[], Place],
    prefect_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, shop = make_place(), Shop(prefect_url, tmp_path, {})
    spec = Path(place.environment["KEEPFIT_PROJECTS"]) / "penguins" / "project.yaml"
    alone = spec.read_text()
    shop.deploy("cpu", "tuning-pool")  # and no worker: the run must come to its end by itself
    try:
        spec.write_text(alone.replace("{trials: 5, ", "{trials: 5, workers: 3, workers_on: pool, "))
        code, said = place.keepfit("run", "penguins", PREFECT__RUNTIME__DEPLOYMENT__ID=str(uuid4()))
        assert code == 0, said
        children = shop.children("cpu")
        assert [(child.state_name, child.parameters["trials_only"]) for child in children] == [("Cancelled", True)] * 2
        made = trials_of(place)
        assert [one[1:] for one in made] == [one[1:] for one in trials_of(tuned)]
        with open_registry(place.database) as registry:
            registry._database.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM trial"))
        help_out(place, prefect_url, children[0].parameters, monkeypatch)
        with open_registry(place.database) as registry:
            again = registry.trials(made[0][0])
        assert [(row.study, row.number, row.params, row.state, row.scores, row.value) for row in again] == made
    finally:
        spec.write_text(alone)
        shop.withdraw("tuning-pool")


def help_out(place: Place, url: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a worker of the pool does with such a run."""
    for name, value in {"KEEPFIT_HOME": str(place.home), **place.environment}.items():
        monkeypatch.setenv(name, value)
    for cached in (load_settings, open_workspace):
        cached.cache_clear()
    try:
        with open_desk(url) as desk:
            done = desk.run(fit, desk.submit("fit/cpu", **parameters))
        assert (done.name, done.message) == ("Completed", "All trials have ended.")
    finally:
        open_workspace().registry.close()
        for cached in (load_settings, open_workspace):
            cached.cache_clear()


def test_training_again_gives_the_same_tuned_model(tuned: Place) -> None:
    again = tuned.answer("rerun", "penguins@1")
    assert again["equal"] is True
