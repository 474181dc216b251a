"""Whatever the order of operations and of damage, a store answers as a dictionary of digests would."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from infra.artifacts.reference import ArtifactRef
from infra.errors import BlobNotFound, IntegrityError
from tests.infra.artifacts.conftest import StoreUnderTest, bucket_under_test, folder_under_test
from tests.servers.seaweed import S3Server

contents = st.binary(max_size=300)


class StoreMachine(RuleBasedStateMachine):
    """The model: what was put and not deleted, and which of it was damaged behind the store's back."""

    open_one: Callable[[Path], StoreUnderTest]
    refs = Bundle("refs")

    @initialize()
    def open(self) -> None:
        self.folder = Path(self._enter(tempfile.TemporaryDirectory()))
        self.subject = type(self).open_one(self.folder)
        self.store = self.subject.store
        self.whole: dict[str, bytes] = {}
        self.damaged: set[str] = set()

    def _enter(self, folder: "tempfile.TemporaryDirectory[str]") -> str:
        self._folder = folder
        return folder.name

    def teardown(self) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    @rule(target=refs, data=contents, as_file=st.booleans())
    def put(self, data: bytes, as_file: bool) -> ArtifactRef:
        if as_file:
            (self.folder / "source").write_bytes(data)
            ref = self.store.put_file(self.folder / "source", "a/b")
        else:
            ref = self.store.put_bytes(data, "a/b")
        self.whole[ref.digest] = data
        self.damaged.discard(ref.digest)
        return ref

    @rule(ref=refs, data=contents)
    def damage(self, ref: ArtifactRef, data: bytes) -> None:
        if ref.digest in self.whole and self.whole[ref.digest] != data:
            self.subject.overwrite(ref.digest, data)
            self.damaged.add(ref.digest)

    @rule(ref=refs)
    def delete(self, ref: ArtifactRef) -> None:
        self.store.delete(ref.digest)
        self.whole.pop(ref.digest, None)
        self.damaged.discard(ref.digest)

    @rule(ref=refs, as_file=st.booleans())
    def read(self, ref: ArtifactRef, as_file: bool) -> None:
        target = self.folder / "target"
        target.unlink(missing_ok=True)

        def get() -> bytes:
            return self.store.fetch(ref, target).read_bytes() if as_file else self.store.read(ref)

        if ref.digest not in self.whole:
            with pytest.raises(BlobNotFound, match=ref.digest):
                get()
        elif ref.digest in self.damaged:
            with pytest.raises(IntegrityError, match="expected"):
                get()
        else:
            assert get() == self.whole[ref.digest]
            return
        assert not target.exists()

    @invariant()
    def lists_what_is_there(self) -> None:
        assert [blob.digest for blob in self.store.list_blobs()] == sorted(self.whole)


def run(open_one: Callable[[Path], StoreUnderTest], examples: int) -> None:
    machine = type("Machine", (StoreMachine,), {"open_one": staticmethod(open_one)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
def test_a_folder_answers_as_a_dictionary_would() -> None:
    run(folder_under_test, examples=30)


@pytest.mark.servers
def test_a_bucket_answers_as_a_dictionary_would(s3_server: S3Server, s3_store_url: str) -> None:
    def open_one(folder: Path) -> StoreUnderTest:
        return bucket_under_test(s3_server, f"{s3_store_url}/{folder.name}")

    run(open_one, examples=8)
