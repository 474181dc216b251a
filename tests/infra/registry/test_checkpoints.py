"""The pointer to the newest checkpoint of a training: on both databases."""

from datetime import timedelta

import pytest

from infra.registry.registry import Registry
from tests.infra.registry.builders import begin, commit, digest, reference

KEY, OTHER = digest("a training"), digest("another")


def test_the_newest_is_found_and_the_one_before_it_given_back_to_be_deleted(registry: Registry) -> None:
    assert registry.checkpoint(KEY) is None
    first, second = reference("first"), reference("second")
    assert registry.point_checkpoint(key=KEY, project="iris", ref=first) is None
    assert registry.point_checkpoint(key=KEY, project="iris", ref=first) is None, "it would delete what it names"
    assert registry.point_checkpoint(key=KEY, project="iris", ref=second) == first
    assert registry.checkpoint(KEY) == second
    assert registry.checkpoint(OTHER) is None


def test_a_blob_is_known_for_as_long_as_it_is_a_checkpoint(registry: Registry) -> None:
    ref = reference("weights")
    registry.point_checkpoint(key=KEY, project="iris", ref=ref)
    assert registry.knows_blob(ref.digest)
    assert registry.known_among([ref.digest, digest("orphan")]) == {ref.digest}
    assert ref not in list(registry.known_blobs()), "a backup is not asked for it"
    registry.drop_checkpoint(KEY)
    registry.drop_checkpoint(KEY)
    assert not registry.knows_blob(ref.digest)


@pytest.mark.parametrize(("step", "left"), [("train", {OTHER}), ("score", {KEY, OTHER})])
def test_a_project_s_checkpoints_go_when_its_training_is_committed(
    registry: Registry, step: str, left: set[str]
) -> None:
    for key, project in ((KEY, "iris"), (OTHER, "imdb")):
        registry.point_checkpoint(key=key, project=project, ref=reference(key))
    commit(registry, begin(registry, "iris"), step=step)
    assert {key for key in (KEY, OTHER) if registry.checkpoint(key)} == left


def test_what_was_saved_long_ago_is_forgotten(registry: Registry) -> None:
    registry.point_checkpoint(key=KEY, project="iris", ref=reference("weights"))
    assert registry.drop_old_checkpoints(timedelta(hours=1)) == 0
    assert registry.drop_old_checkpoints(-timedelta(hours=1)) == 1
    assert registry.checkpoint(KEY) is None
