import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.models.digests import content_digest
from tasks.models.loading import load_model
from tasks.models.saving import save_model
from tests.tasks.models.examples import mixed_rows
from tests.tasks.models.fresh import CANDIDATES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fresh processes")]


class Twice(NamedTuple):
    """All candidates fitted in two fresh processes with different hash seeds.

    Not in this one: TensorFlow takes its threads once in the life of a process, and an earlier test may have chosen others.
    """

    here: Path
    there: Path
    digests: dict[str, str]
    answers: dict[str, str]
    said_there: dict[str, tuple[str, str]]
    stderr: str


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    first, _ = fit_anew(here, here, seed="0")
    second, stderr = fit_anew(there, here, seed="7")
    digests = {name: digest for name, (digest, _) in first.items()}
    return Twice(here, there, digests, {name: said for name, (_, said) in first.items()}, second, stderr)


def fit_anew(new, stored, *, seed):
    """Fit all into `new` in a process of its own; return each digest with what the `stored` one answers, and stderr."""
    command = [sys.executable, "-m", "tests.tasks.models.fresh", str(new), str(stored)]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=environment)
    return {name: (digest, said) for name, digest, said in map(str.split, done.stdout.splitlines())}, done.stderr


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_same_fit_in_another_process_has_the_same_digest_and_the_same_bytes(name, twice):
    assert twice.said_there[name][0] == twice.digests[name] == content_digest(twice.here / name)
    assert (twice.here / name).read_bytes() == (twice.there / name).read_bytes()


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_stored_model_answers_in_a_fresh_process_as_in_the_one_that_fitted_it(name, twice):
    assert twice.said_there[name][1] == twice.answers[name]


@pytest.mark.parametrize("name", CANDIDATES)
def test_loading_answering_and_saving_again_keeps_the_digest(name, twice, tmp_path):
    model = load_model(twice.here / name, twice.digests[name])
    model.predict(mixed_rows(50, seed=4))
    assert save_model(model, tmp_path / name) == twice.digests[name]


def test_no_two_candidates_share_a_digest(twice):
    assert len(set(twice.digests.values())) == len(CANDIDATES)


def test_fitting_a_network_writes_nothing_on_stderr(twice):
    assert twice.stderr == ""
