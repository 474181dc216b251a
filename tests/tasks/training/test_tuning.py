"""Candidates with a `search`: the same trials whoever makes them, and a model that is fitted with the best."""

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import SpecError, TrainingFailed, UsageError
from infra.registry.registry import Registry, open_registry
from tasks.contracts.tuning import TunedCandidate
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.searched import give_first_values, give_tuned, give_values
from tasks.preparation.splitting import split_rows
from tasks.training import trials
from tasks.training.fitting import FitResult, fit_project
from tasks.training.selection import open_comparison
from tasks.training.studies import Study, name_study
from tasks.training.trials import work_on
from tasks.training.tuning import TrialDesk
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec

KNN = "sklearn.neighbors.KNeighborsClassifier"
SEARCH = {"n_neighbors": {"low": 1, "high": 40}, "prepare.number.scale": {"choices": ["none", "standard"]}}
CANDIDATES = {
    "knn": {"estimator": KNN, "params": {"weights": "distance"}, "search": SEARCH},
    "nb": {"estimator": "sklearn.naive_bayes.GaussianNB"},
}
TUNING = {"trials": 14, "pruning": "median"}


def spec_of(candidates: Any = CANDIDATES, **changes: Any) -> Any:
    return numbers_spec(
        candidates, **{"tuning": TUNING, "selection": {"folds": 3}, "compute": {"threads": 1}, **changes}
    )


def rows(n: int = 90) -> Any:
    """Noisy enough that many neighbours are better than one."""
    frame = number_rows(n)
    noise = np.random.default_rng(1).random(n) < 0.2
    return frame.assign(y=np.where(noise, 1 - frame["y"], frame["y"]))


def fit(registry: Registry, spec: Any = None, frame: Any = None, told: Any = None, **changes: Any) -> FitResult:
    tell = (lambda *news: told.append(news)) if told is not None else (lambda *_: None)
    desk = TrialDesk(registry, "code", **changes)
    return fit_project(spec or spec_of(), rows() if frame is None else frame, no_functions, tell, desk)


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    told: list[Any] = []
    with open_registry(f"sqlite:///{tmp_path_factory.mktemp('tuning') / 'registry.db'}") as opened:
        yield opened, fit(opened, told=told), told


def essence(registry: Registry) -> list[Any]:
    """What the trials are, without when and by whom."""
    (study,) = registry.studies("plain")
    return [(row.number, row.params, row.state, row.scores, row.value) for row in registry.trials(study.key)]


def digest(result: FitResult, path: Path) -> str:
    return save_model(result.chosen.model, path / "model")


def test_the_candidate_is_compared_and_fitted_with_the_best_trial(shared: Any, tmp_path: Path) -> None:
    registry, result, _ = shared
    (tuned,) = result.tuned.candidates
    made = essence(registry)
    assert [number for number, *_ in made] == list(range(14))
    complete = [one for one in made if one[2] == "complete"]
    assert tuned.value == max(value for *_, value in complete)
    assert tuned.params == made[tuned.trial][1]
    score = next(one for one in result.selection if one.candidate == "knn")
    assert score.scores == made[tuned.trial][3], "another figure in the selection than in the trial"
    assert score.chosen
    again = fit_candidate("knn", give_tuned(spec_of(), result.tuned.candidates), rows(), load=no_functions)
    assert save_model(again, tmp_path / "again") == digest(result, tmp_path)
    estimator = result.chosen.model.pipeline.steps[-1][1]
    assert (estimator.n_neighbors, estimator.weights) == (tuned.params["n_neighbors"], "distance")


def test_what_was_tried_is_told_counted_and_explained(shared: Any) -> None:
    _, result, told = shared
    (tuned,) = result.tuned.candidates
    assert [news[:3] for news in told if news[0] == "tuning: knn"] == [("tuning: knn", at, 14) for at in range(1, 15)]
    assert set(told[0][3]) == {"best accuracy"}
    states = [one.state for one in result.tuned.studies[0].trials]
    assert (tuned.trials, tuned.pruned, tuned.failed) == (14, states.count("pruned"), 0)
    assert tuned.pruned > 0, "no trial was ended early: the test shows nothing of pruning"
    assert tuned.best[0].number == tuned.trial
    assert [one.value for one in tuned.best] == sorted((one.value for one in tuned.best), reverse=True)
    assert set(tuned.reasons) == {"history", "values", "importance"}
    assert f"Trial {tuned.trial + 1} of 14" in tuned.reasons["history"]
    assert set(result.tuned.studies[0].importance) == set(SEARCH)
    assert "optuna" in result.libraries


def test_the_best_is_far_better_than_the_worst_so_that_the_search_matters(shared: Any) -> None:
    values = [value for *_, value in essence(shared[0])]
    assert max(values) - min(values) > 0.05


def test_a_finished_study_costs_no_trial_and_gives_the_same_model(
    shared: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    registry, first, _ = shared

    def refuse(*_: object) -> Any:
        raise AssertionError("a trial was made again")

    monkeypatch.setattr(trials, "_judge", refuse)
    again = fit(registry)
    assert again.tuned == first.tuned
    assert digest(again, tmp_path) == digest(first, tmp_path)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", ["trial.before_commit", "trial.after_commit"])
def test_a_search_that_is_broken_off_after_any_trial_ends_as_if_it_had_not(
    point: str, shared: Any, registry: Registry, monkeypatch: Any
) -> None:
    undisturbed = essence(shared[0])
    for allowed in (0, 1, 3, 6):
        left = [allowed]

        def die(name: str, left: list[int] = left) -> None:
            if name == point:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1

        with monkeypatch.context() as patched:
            patched.setattr(trials, "reach", die)
            patched.setattr(Registry, "drop_claim", lambda *_: None)  # a killed process lets go of nothing
            patched.setattr("infra.registry.tuning.describe_process", _dead)
            with pytest.raises(Killed):
                fit(registry)
    result = fit(registry)
    assert essence(registry) == undisturbed
    assert result.tuned == shared[1].tuned


def _dead() -> Any:
    from tests.infra.registry.builders import dead_holder

    return dead_holder()


@pytest.mark.slow
def test_many_at_work_on_one_study_make_the_trials_that_one_makes(shared: Any, registry_url: str) -> None:
    """On both databases. Threads here, each with a registry of its own; processes in test_workers.py."""
    comparison = open_comparison(spec_of(), rows(), no_functions, lambda *_: None)
    study = Study.of(spec_of(), "knn", shared[1].tuned.candidates[0].study, comparison.ruler.metric)
    errors: list[BaseException] = []

    def help_out() -> None:
        try:
            with open_registry(registry_url) as own:
                work_on(study, own, comparison, lambda _: None)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    with open_registry(registry_url) as registry:
        registry.open_study(key=study.key, project="plain", candidate="knn", settings={}, actor="tester")
        threads = [threading.Thread(target=help_out) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert essence(registry) == essence(shared[0])
        assert {row.claims for row in registry.trials(study.key)} == {1}


def test_a_trial_that_another_took_over_is_left_to_it(shared: Any, registry: Registry, monkeypatch: Any) -> None:
    judge, taken = trials._judge, []

    def slow(study: Study, *rest: Any) -> Any:
        if not taken:  # this process stood still, its lease ended, and another has the trial now
            with registry._database.begin(writes=True) as tx:
                tx.connection.exec_driver_sql("UPDATE trial SET token = 'another', expires_at = '2000-01-01'")
            taken.append(True)
        return judge(study, *rest)

    monkeypatch.setattr(trials, "_judge", slow)
    fit(registry)
    assert essence(registry) == essence(shared[0])
    (study,) = registry.studies("plain")
    assert [row.claims for row in registry.trials(study.key)] == [2, *[1] * 13]


BASE = {"spec": spec_of(), "candidate": "knn", "rows": "r", "made_by": "code"}


def other(**changes: Any) -> Any:
    return spec_of(**changes)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"rows": "s"}, False),
        ({"made_by": "other code"}, False),
        ({"spec": other(seed=1)}, False),
        ({"spec": other(tuning={**TUNING, "trials": 15})}, False),
        ({"spec": other(selection={"folds": 4})}, False),
        ({"spec": other(evaluation={"metric": "log_loss"})}, False),
        ({"spec": other(prepare={"number": {"scale": "robust"}})}, False),
        ({"spec": other(candidates={"knn": {"estimator": KNN, "search": {"n_neighbors": {"low": 1, "high": 41}}}})}, False),
        ({"spec": other(tuning={**TUNING, "workers": 4})}, True),
        ({"spec": other(selection={"folds": 3, "rule": "best"})}, True),
        ({"spec": other(gate={"margin": 0.5})}, True),
        ({"spec": other(candidates={"knn": CANDIDATES["knn"]})}, True),
    ],
    ids=["rows", "code", "seed", "trials", "folds", "metric", "prepare", "space", "workers", "rule", "gate", "others"],
)  # fmt: skip
def test_a_study_is_named_by_what_it_computes(changes: Any, same: bool) -> None:
    assert (name_study(**{**BASE, **changes}) == name_study(**BASE)) == same


def test_tuning_folds_stand_in_for_those_of_selection(registry: Registry) -> None:
    result = fit(registry, spec_of(tuning={"trials": 3, "folds": 2}, selection={"folds": 4, "repeats": 2}))
    assert {len(one.scores) for one in result.tuned.studies[0].trials} == {2}
    assert {len(score.scores) for score in result.selection} == {8}


def test_where_lower_is_better_the_lowest_trial_is_the_best(registry: Registry) -> None:
    result = fit(registry, spec_of(evaluation={"metric": "log_loss"}))
    (tuned,), (study,) = result.tuned.candidates, result.tuned.studies
    complete = [one.value for one in study.trials if one.state == "complete"]
    assert tuned.value == min(complete)
    assert study.direction == "lower"
    pruned = [one.value for one in study.trials if one.state == "pruned"]
    assert pruned, "no trial was ended early"
    assert min(pruned) > tuned.value


def test_values_that_cannot_be_fitted_are_failed_trials_and_the_others_go_on(registry: Registry) -> None:
    logistic = {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "params": {"l1_ratio": 1.0},
        "search": {"solver": {"choices": ["lbfgs", "liblinear"]}},
    }
    result = fit(registry, spec_of({"logistic": logistic}, tuning={"method": "grid"}))
    (tuned,) = result.tuned.candidates
    assert (tuned.failed, tuned.params) == (1, {"solver": "liblinear"})
    assert "could not be fitted" in result.tuned.studies[0].trials[0].error
    assert "1 could not be fitted" in tuned.reasons["history"]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"], ids=["labels", "probabilities"])
def test_a_value_that_only_predict_refuses_is_a_failed_trial_and_the_others_go_on(
    registry: Registry, metric: str
) -> None:
    many = {"knn": {"estimator": KNN, "search": {"n_neighbors": {"choices": [5, 80]}}}}
    result = fit(registry, spec_of(many, tuning={"method": "grid"}, evaluation={"metric": metric}))
    (tuned,) = result.tuned.candidates
    assert (tuned.failed, tuned.params) == (1, {"n_neighbors": 5})
    assert [one[2] for one in essence(registry)] == ["complete", "failed"]
    said = result.tuned.studies[0].trials[1].error
    assert re.search(r"candidates.knn with n_neighbors 80 was fitted on 60 rows and cannot answer: Expected", said)


@pytest.mark.parametrize(
    "changes",
    [{}, {"evaluation": {"metric": "log_loss"}}, {"decision": {"threshold": "tuned"}}],
    ids=["labels", "probabilities", "a threshold"],
)
def test_a_value_that_only_predict_refuses_names_the_candidate_and_the_value(changes: Any) -> None:
    candidates = {"knn": {"estimator": KNN, "params": {"n_neighbors": 80}}}
    with pytest.raises(TrainingFailed, match=r"candidates.knn with n_neighbors 80 .* cannot answer: .*80") as caught:
        fit_project(spec_of(candidates, **changes), rows(), no_functions, lambda *_: None)
    assert "`params`" in caught.value.remedy


def test_a_search_of_which_nothing_can_be_fitted_is_a_clear_failure(registry: Registry) -> None:
    logistic = {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "params": {"l1_ratio": 1.0},
        "search": {"solver": {"choices": ["lbfgs", "newton-cg"]}},
    }
    with pytest.raises(TrainingFailed, match="none of 2 trials came to a figure; the last one said: plain: candid"):
        fit(registry, spec_of({"logistic": logistic}, tuning={"method": "grid"}))


def test_a_parameter_that_the_estimator_does_not_have_is_refused_before_any_trial(registry: Registry) -> None:
    candidates = {"knn": {"estimator": KNN, "search": {"n_neigbors": {"low": 1, "high": 5}}}}
    with pytest.raises(SpecError, match=r"candidates.knn.search: KNeighborsClassifier has no 'n_neigbors'") as caught:
        fit(registry, spec_of(candidates))
    assert "Did you mean n_neighbors?" in caught.value.remedy
    assert registry.studies("plain") == []


def test_a_value_that_the_estimator_does_not_take_stops_the_search_and_leaves_no_claim(registry: Registry) -> None:
    candidates = {"knn": {"estimator": KNN, "search": {"weights": {"choices": ["uniform", "distanze"]}}}}
    with pytest.raises(SpecError, match="'weights' parameter of KNeighborsClassifier"):
        fit(registry, spec_of(candidates, tuning={"method": "grid"}))
    assert [state for _, _, state, *_ in essence(registry)] == ["complete"]


def test_values_that_cannot_stand_together_are_refused_with_both() -> None:
    spec = mixed_spec({"nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}})
    values = {"prepare.category.encode": "target", "prepare.category.min_share": 0.1}
    with pytest.raises(SpecError, match=r"candidates.nb.search: .*min_share.* cannot stand together: .*encode one_hot"):
        give_values(spec, "nb", values)


def test_a_path_below_prepare_starts_from_the_projects_own() -> None:
    spec = mixed_spec({"nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}}, prepare={"number": {"impute": "mean"}})
    given = give_values(spec, "nb", {"prepare.number.scale": "robust", "var_smoothing": 0.5})
    assert given.preparation_of("nb").number.impute == "mean"
    assert given.preparation_of("nb").number.scale == "robust"
    assert given.candidates["nb"].params == {"var_smoothing": 0.5}
    assert give_values(spec, "nb", {"var_smoothing": 0.5}).candidates["nb"].prepare is None
    assert spec.candidates["nb"].params == {}


def test_a_project_without_a_search_needs_no_registry_and_one_with_it_says_that_it_does() -> None:
    assert fit_project(spec_of({"nb": CANDIDATES["nb"]}), rows(), no_functions, lambda *_: None).tuned.candidates == ()
    with pytest.raises(UsageError, match="a registry to keep the trials of knn in"):
        fit_project(spec_of(), rows(), no_functions, lambda *_: None)


@pytest.mark.slow
def test_the_targets_of_the_test_rows_change_no_trial_and_no_model(tmp_path: Path) -> None:
    """And those of the training rows change both: the test could fail."""
    frame = mixed_rows(150)
    spec = mixed_spec(
        {
            "logistic": {
                "estimator": "sklearn.linear_model.LogisticRegression",
                "search": {
                    "C": {"low": 0.01, "high": 10.0, "log": True},
                    "prepare.select.method": {"choices": ["none", "information"]},
                    "prepare.category.encode": {"choices": ["one_hot", "target"]},
                },
            }
        },
        tuning={"trials": 6, "batch": 2},
        selection={"folds": 3},
        split={"stratify": False},
    )
    train, test = split_rows(frame, spec)
    assert (len(train), len(test)) == (120, 30)
    tables = [frame]
    for rows_of in (test, train):
        permuted = frame["answer"].to_numpy(copy=True)
        permuted[rows_of] = np.random.default_rng(0).permutation(permuted[rows_of])
        tables.append(frame.assign(answer=permuted))
    assert not tables[1].equals(frame)
    found = []
    for at, table in enumerate(tables):
        with open_registry(f"sqlite:///{tmp_path / f'{at}.db'}") as registry:
            result = fit(registry, spec, table.iloc[split_rows(table, spec)[0]].reset_index(drop=True))
            (study,) = registry.studies("toy")
            found.append(([(row.params, row.scores) for row in registry.trials(study.key)], digest(result, tmp_path)))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]


def test_what_was_found_survives_the_manifest(shared: Any) -> None:
    (tuned,) = shared[1].tuned.candidates
    assert TunedCandidate.model_validate_json(tuned.model_dump_json()) == tuned


def test_the_first_values_of_each_space_are_tried_before_a_run() -> None:
    first = give_first_values(spec_of())
    assert first.candidates["knn"].params == {"weights": "distance", "n_neighbors": 1}
    assert first.preparation_of("knn").number.scale == "none"
    assert first.candidates["nb"] == spec_of().candidates["nb"]
