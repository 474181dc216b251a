"""kill -9 at every named fault point of a run, and what must hold afterwards (FAULTS.md rows 1, 2 and 14)."""

import json
import re
import signal
import urllib.request

import pytest

from flows.orchestrator import FLOW_RUN
from infra.artifacts.store import open_store
from infra.faults import POINTS, STEPS
from infra.registry.registry import Registry, open_registry
from tasks.policies import POLICIES
from tests.flows import test_monitoring, test_probation, test_scoring, test_studying, test_tuning
from tests.flows.conftest import ROOT, Place
from tests.tasks.training import test_checkpoints

KILLED = -signal.SIGKILL

pytestmark = pytest.mark.engine


def open_place(place: Place) -> Registry:
    return open_registry(place.database)


def assert_sound(place: Place) -> None:
    """I1, I2, I5, I6, I8: one loadable champion or none, every known blob there and whole, no run left in flight."""
    store = open_store(place.store)
    with open_place(place) as registry:
        stored = {blob.digest for blob in store.list_blobs()}
        for ref in registry.known_blobs():
            assert ref.digest in stored
            store.read(ref)
        history = registry.history("iris")
        champion = registry.champion("iris")
        assert champion.seq == len(history)
        assert [row.seq for row in history] == list(range(1, len(history) + 1))
        if champion.version is not None:
            assert registry.version("iris", champion.version).decision == "PROMOTE"
            released = [row for row in registry.audit("iris", limit=1000) if row.action == "release.promote"]
            assert len(released) == len(history)


def test_the_points_in_the_code_are_the_points_that_are_killed_at() -> None:
    named = set()
    for path in (path for folder in ("flows", "tasks", "infra") for path in (ROOT / folder).rglob("*.py")):
        for literal, text in re.findall(r"\breach\((f?)\"([^\"]*)\"\)", path.read_text()):
            named |= {text.replace("{name}", step) for step in POLICIES} if literal else {text}
    assert named == set(POINTS)
    assert set(POLICIES) == {*STEPS, "study"}


IN_TURN = (
    "store.before_publish",
    *(point for step in STEPS[:-1] for point in POINTS if point.startswith(f"{step}.")),
    *("release.start", "release.in_transaction", "release.before_commit"),
)
"""One run is killed at each, the one after it at the next. At the last the champion has moved: the release is its own commit."""

ALONE = "release.after_commit"
"""Here it has moved as well, and the run after it comes to none of the points of a release any more."""

OF_MONITORING = [point for point in POINTS if point.startswith(("batch.", "labels.", "monitor.", "rollback."))]
"""Of other commands than `run`: killed at in tests/flows/test_scoring.py, test_monitoring.py and test_probation.py."""

OF_TUNING = [point for point in POINTS if point.startswith("trial.")]
"""Of a project whose candidates are searched: killed at in tests/flows/test_tuning.py."""

OF_NETWORKS = [point for point in POINTS if point.startswith("checkpoint.")]
"""In the middle of a network's training: killed at in tests/tasks/training/test_checkpoints.py."""


def test_every_point_is_killed_at() -> None:
    elsewhere = [*OF_MONITORING, *OF_TUNING, *OF_NETWORKS, *test_studying.POINTS]
    assert sorted(POINTS) == sorted([*IN_TURN, ALONE, *elsewhere])
    assert sorted(OF_NETWORKS) == sorted(test_checkpoints.POINTS)
    assert sorted(OF_TUNING) == sorted(test_tuning.POINTS)
    assert sorted(OF_MONITORING) == sorted([*test_scoring.POINTS, *test_monitoring.POINTS, *test_probation.POINTS])


@pytest.mark.parametrize("points", [IN_TURN, (ALONE,)], ids=["each in turn", ALONE])
def test_after_kill_9_at_a_point_the_next_run_goes_on_and_finishes_with_one_version(
    points: tuple[str, ...], place: Place
) -> None:
    kill_in_turn(points, place)


ON_SERVERS = ("store.before_publish", "train.before_commit", "register.before_commit", "release.in_transaction")


@pytest.mark.parametrize("everywhere", [pytest.param("s3+postgresql", marks=pytest.mark.servers)], indirect=True)
def test_after_kill_9_on_real_servers_the_next_run_goes_on_and_finishes_with_one_version(everywhere: Place) -> None:
    kill_in_turn(ON_SERVERS, everywhere)


def kill_in_turn(points: tuple[str, ...], place: Place) -> None:
    for count, point in enumerate(points):
        code, said = place.keepfit("run", "iris", KEEPFIT_FAULT_POINT=point)
        assert code == KILLED, f"{point}: the fault did not fire: {said}"
        assert ("died without a word" in said) == bool(count), point
        assert_sound(place)
    assert_finishes_with_one_version(place, crashed=len(points))


def assert_finishes_with_one_version(place: Place, *, crashed: int) -> None:
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    assert "died without a word" in said
    assert_sound(place)
    with open_place(place) as registry:
        assert [row.number for row in registry.versions("iris")] == [1]
        assert registry.champion("iris").version == 1
        states = sorted(run.state for run in registry.runs("iris", limit=100))
        assert states == ["completed", *["crashed"] * crashed]


SIGNALS = (
    *(("INT", "ingest.start"), ("TERM", "store.before_publish"), ("TERM", "register.before_commit")),
    *(("INT", "release.in_transaction"), ("TERM", "release.in_transaction"), ("TERM", "release.after_commit")),
)


def test_a_signal_during_a_run_leaves_all_or_nothing_and_frees_the_lease(place: Place) -> None:
    """In turn: the run after a signal gets the next one, further on."""
    for count, (name, point) in enumerate(SIGNALS, start=1):
        code, said = place.keepfit("run", "iris", KEEPFIT_FAULT_POINT=point, KEEPFIT_FAULT_SIGNAL=name)
        assert code == 128 + signal.Signals[f"SIG{name}"], f"{name} at {point}: {said}"
        assert "Traceback" not in said
        assert said.count("keepfit:") == 1
        assert_sound(place)
        with open_place(place) as registry:
            assert [run.state for run in registry.runs("iris")] == ["cancelled"] * count
            assert registry.champion("iris").seq == (1 if point == "release.after_commit" else 0)
    assert place.keepfit("run", "iris")[0] == 0
    with open_place(place) as registry:
        assert registry.champion("iris").seq == 1
        assert [run.state for run in registry.runs("iris")] == ["completed", *["cancelled"] * len(SIGNALS)]


def test_the_next_run_ends_the_dead_run_in_prefects_view_as_well(place: Place, prefect_url: str) -> None:
    place.keepfit("run", "iris", KEEPFIT_FAULT_POINT="train.start")
    with open_place(place) as registry:
        flow_run = str(registry.runs("iris")[0].parameters[FLOW_RUN])
    assert read_state(prefect_url, flow_run)["type"] == "RUNNING"
    assert place.keepfit("run", "iris")[0] == 0
    state = read_state(prefect_url, flow_run)
    with open_place(place) as registry:
        assert state["type"] == "CRASHED"
        assert registry.runs("iris")[0].run_id in str(state["message"])


def read_state(prefect_url: str, flow_run: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{prefect_url}/flow_runs/{flow_run}") as reply:
        state: dict[str, object] = json.load(reply)["state"]
        return state


def test_a_run_after_a_crash_finds_the_finished_steps(place: Place) -> None:
    code, _ = place.keepfit("run", "iris", KEEPFIT_FAULT_POINT="score.start")
    assert code == KILLED
    with open_place(place) as registry:
        (dead,) = registry.runs("iris")
        finished = {row.step: row.key for row in registry.steps(dead.run_id)}
    assert set(finished) == {"validate", "split", "train"}

    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    with open_place(place) as registry:
        alive = registry.runs("iris")[0]
        assert {row.step for row in registry.steps(alive.run_id)} == {"score", "evaluate", "decide", "report"}


def test_a_flipped_byte_in_the_champion_is_never_served(iris: Place) -> None:
    place = iris
    shown = place.answer("show", "iris@1")
    assert isinstance(shown, dict)
    digest = shown["manifest"]["model"]["artifact"]["digest"]
    path = place.home / "store" / "sha256" / digest[:2] / digest
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    rows = place.home / "rows.csv"
    rows.write_text("sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n")
    code, said = place.keepfit("predict", "iris", str(rows))
    assert code == 1
    assert digest[:12] in said
    assert not rows.with_name("rows.predictions.csv").exists()
    code, said = place.keepfit("doctor")
    assert code == 1
