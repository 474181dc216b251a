"""A Prefect server that is killed in the middle of two runs and comes back (FAULTS.md row 24)."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from flows import reconciling
from flows.orchestrator import FLOW_RUN
from tests.faults.invariants import check_invariants
from tests.faults.places import FaultPlace
from tests.flows.tables import make_table

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.fixture(autouse=True)
def running_again(place: FaultPlace) -> Iterator[None]:
    """The server runs when the next test begins."""
    yield
    if not place.prefect.is_running:
        place.prefect.start()


def test_without_its_server_a_run_ends_in_the_registry_and_prefect_learns_of_it_later(
    place: FaultPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = {"PREFECT_CLIENT_MAX_RETRIES": "1"}  # as many tries as by default take a minute longer
    iris = {"KEEPFIT_PROJECTS": place.environment["KEEPFIT_PROJECTS"], **patience}
    make_table(place, place.home / "projects")
    with (
        place.stopped_at("score.start", "run", "iris", anew=True, **iris) as finishing,
        place.stopped_at("train.after_commit", "run", "table", **patience) as terminated,
    ):
        place.prefect.kill()
        terminated.process.send_signal(signal.SIGTERM)
    with place.registry() as registry:
        (done,), (stopped,) = registry.runs("iris"), registry.runs("table")
        assert (done.state, registry.champion("iris").version) == ("completed", 1)
        assert (stopped.state, registry.champion("table").version) == ("cancelled", None)
    assert finishing.code == 1, finishing.said
    assert f"{place.prefect.url} stopped answering" in finishing.said
    assert f"Run {done.run_id} is completed in the registry: released, iris@1." in finishing.said
    assert terminated.code == 128 + signal.SIGTERM, terminated.said
    assert "Stopped by SIGTERM" in terminated.said
    for command in (finishing, terminated):
        assert "Traceback" not in command.said
        assert "Error logging to API" not in command.said
        assert command.said.count("keepfit:") == 1
        assert command.seconds < 150
    check_invariants(place)

    code, said = place.keepfit("run", "table")
    assert (code, "nothing answers there" in said) == (1, True), said
    with place.registry() as registry:
        assert len(registry.runs("table")) == 1, "no run is made that Prefect does not know"

    place.prefect.start()
    assert seen_by_prefect(place, done.parameters[FLOW_RUN]) == "Running"
    monkeypatch.setattr(reconciling, "SETTLE", timedelta(0))
    with place.prefect.client() as client, place.registry() as registry:
        assert len(reconciling.reconcile(client, registry)) == 2
    assert seen_by_prefect(place, done.parameters[FLOW_RUN]) == "Completed"
    assert seen_by_prefect(place, stopped.parameters[FLOW_RUN]) == "Cancelled"

    code, said = place.keepfit("run", "table")
    assert code == 0, said
    assert "as before" in said
    check_invariants(place)
    with place.registry() as registry:
        assert "train" not in {row.step for row in registry.steps(registry.runs("table")[0].run_id)}
        assert registry.champion("table").version == 1


def seen_by_prefect(place: FaultPlace, flow_run: object) -> str | None:
    with place.prefect.client() as client:
        return client.read_flow_run(UUID(str(flow_run))).state_name
