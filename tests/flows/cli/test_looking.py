import pytest

from flows.cli.looking import write_event_files
from infra.artifacts.store import open_store
from infra.errors import UsageError
from tests.tasks.release.builders import make_manifest


def test_each_networks_epochs_are_written_as_a_run_of_tensorboard(tmp_path):
    store = open_store((tmp_path / "store").as_uri())
    events = {name: store.put_bytes(name.encode(), "x/y") for name in ("gru", "cnn")}
    write_event_files(make_manifest().fit.model_copy(update={"events": events}), store, tmp_path / "runs")
    written = {path.parent.name: path.read_bytes() for path in (tmp_path / "runs").glob("*/*tfevents*")}
    assert written == {"gru": b"gru", "cnn": b"cnn"}


def test_a_version_without_networks_has_no_epochs_to_write(tmp_path):
    with pytest.raises(UsageError, match="no network was trained"):
        write_event_files(make_manifest().fit, open_store((tmp_path / "store").as_uri()), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
