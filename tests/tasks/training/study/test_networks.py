"""A network is studied as any candidate is, with fewer fits: each of them is a training."""

import pytest

from tasks.training.study.curves import count_points
from tasks.training.study.measurement import study_candidates
from tests.tasks.models.networks import load
from tests.tasks.training.study.made import BAYES, study_spec, two_clouds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


def test_a_network_is_studied_with_fewer_folds_points_and_refits_and_tells_its_epochs() -> None:
    network = {"network": {"build": "networks:dense", "epochs": 2, "batch_size": 32}}
    told: list[tuple[str, int, int]] = []
    assert count_points(study_spec({"net": network}), networks=True) == 3
    assert count_points(study_spec({"bayes": BAYES}), networks=False) == 6
    spec = study_spec({"bayes": BAYES, "net": network}, study={"seeds": 2, "learning_curve": {"points": 2}})
    report = study_candidates(spec, two_clouds(180), load, lambda what, done, of, _: told.append((what, done, of)))
    assert report.folds == 3
    assert [[point.rows for point in curve.points] for curve in report.curves] == [[60, 120]] * 2
    epochs = [each for each in told if each[0].endswith(", epoch")]
    # Two points on three folds and one other seed on one fold, two epochs each.
    assert len(epochs) == (2 * 3 + 1) * 2
    assert epochs[0] == ("study: net on 60 rows, epoch", 1, 2)
    assert report.luck[1].seed_std > 0
    assert report.diagnoses[1].candidate == "net"
