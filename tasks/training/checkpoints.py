"""The checkpoints of trainings in the object store, and the pointer to the newest of each in the registry."""

import hashlib
import logging
from dataclasses import dataclass

from infra.artifacts.store import BlobStore
from infra.errors import BlobNotFound, IntegrityError, KeepfitError
from infra.registry.registry import Registry

logger = logging.getLogger(__name__)

CHECKPOINT = "application/vnd.keepfit.checkpoint+zip"


@dataclass(frozen=True)
class StoredCheckpoints:
    """A shelf (`tasks.models.checkpoints.CheckpointShelf`) that any machine with the same store and registry can read.

    Its keys hold what makes a training as well: another version of the code never goes on from this one's.
    """

    registry: Registry
    store: BlobStore
    project: str
    made_by: str
    """Digest of the code that trains."""

    def load(self, key: str) -> bytes | None:
        """Return the newest checkpoint of this training, its bytes verified; None: there is none that can be trusted."""
        try:
            ref = self.registry.checkpoint(self._name(key))
            return None if ref is None else self.store.read(ref)
        except (BlobNotFound, IntegrityError) as error:
            logger.warning("a checkpoint is not used, training begins anew: %s", error.message)
            self._discard(key)
        except KeepfitError as error:
            logger.warning("no checkpoint can be read, training begins anew: %s", error.message)
        return None

    def save(self, key: str, data: bytes) -> None:
        """Keep this checkpoint and none before it; training goes on where that cannot be done now."""
        try:
            ref = self.store.put_bytes(data, CHECKPOINT)
            before = self.registry.point_checkpoint(key=self._name(key), project=self.project, ref=ref)
            if before is not None:
                self.store.delete(before.digest)
        except KeepfitError as error:
            logger.warning("a checkpoint could not be kept, training goes on: %s", error.message)

    def _discard(self, key: str) -> None:
        """Remove what lies under a digest that is not its own: the same checkpoint made again would be taken for it."""
        try:
            ref = self.registry.checkpoint(self._name(key))
            self.registry.drop_checkpoint(self._name(key))
            if ref is not None:
                self.store.delete(ref.digest)
        except KeepfitError as error:
            logger.warning("it could not be removed either: %s", error.message)

    def _name(self, key: str) -> str:
        return hashlib.sha256(f"{self.project} {self.made_by} {key}".encode()).hexdigest()
