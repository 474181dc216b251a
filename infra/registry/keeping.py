"""The checkpoints of trainings. None needs a run: a training is named by what it computes, whoever works on it."""

from datetime import timedelta

from infra.artifacts.reference import ArtifactRef
from infra.registry import checkpoints
from infra.registry.admission import check_digest, check_project
from infra.registry.tuning import TuningRegistry


class KeepingRegistry(TuningRegistry):
    """Where the newest checkpoint of each training lies."""

    def checkpoint(self, key: str) -> ArtifactRef | None:
        """Return the newest checkpoint of the training under this key, None where there is none."""
        checked = check_digest(key, "checkpoint")
        return self._database.read(lambda tx: checkpoints.find_checkpoint(tx, checked))

    def point_checkpoint(self, *, key: str, project: str, ref: ArtifactRef) -> ArtifactRef | None:
        """Make this checkpoint the newest of its training; return the one that nothing names any more, if any.

        All of a project go when its training is committed: `commit_step` of `train`.
        """
        checked, name = check_digest(key, "checkpoint"), check_project(project)
        return self._database.write(lambda tx: checkpoints.point_checkpoint(tx, key=checked, project=name, ref=ref))

    def drop_checkpoint(self, key: str) -> None:
        """Forget the checkpoint of a training; one that is not there is fine."""
        checked = check_digest(key, "checkpoint")
        self._database.write(lambda tx: checkpoints.drop_checkpoint(tx, checked))

    def drop_old_checkpoints(self, age: timedelta) -> int:
        """Forget what trainings saved longer ago than this and nobody went on from; return how many."""
        return self._database.write(lambda tx: checkpoints.drop_old_checkpoints(tx, age))
