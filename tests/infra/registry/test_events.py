"""Fifty copies of one event, sent at once and out of order (FAULTS.md row 11): one run a key, and the others hear of it."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier

import pytest

from infra.errors import DuplicateTrigger, LeaseHeld
from infra.registry.registry import Registry, open_registry
from tests.infra.registry.builders import begin
from tests.infra.registry.crew import Crew

pytestmark = pytest.mark.slow

COPIES = 50
WINDOWS = ("drift:2013-07", "drift:2013-08", "performance:2013-08")
PATIENCE_S = 60.0


def send_copies(index: int, barrier: Barrier, url: str, size: int) -> list[tuple[str, str, bool]]:
    """Send this process's share of the copies of each window's event, in an order of its own, all copies at once."""
    mine = [key for copy in range(COPIES) if copy % size == index for key in WINDOWS]
    random.Random(index).shuffle(mine)
    with open_registry(url) as registry, ThreadPoolExecutor(len(mine)) as senders:
        barrier.wait()
        return list(senders.map(lambda key: send(registry, key), mine))


def send(registry: Registry, key: str) -> tuple[str, str, bool]:
    """Return the key, the run that it has, and whether this copy began it. A run of another key in flight is waited for."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        try:
            grant = begin(registry, trigger_key=key, trigger_kind="drift")
        except DuplicateTrigger as known:
            return key, known.run_id, False
        except LeaseHeld:
            time.sleep(0.05)
        else:
            registry.finish_run(grant, state="completed", outcome={})
            return key, grant.run_id, True
    raise AssertionError(f"{key}: nobody answered")


def test_fifty_copies_of_three_windows_events_at_once_and_out_of_order_make_three_runs(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    answers = [answer for one in crew.run(send_copies, registry_url, crew.size) for answer in one]
    assert len(answers) == COPIES * len(WINDOWS)
    runs = {run.trigger_key: run for run in registry.runs("iris", limit=1000)}
    assert len(registry.runs("iris", limit=1000)) == len(WINDOWS) == len(runs)
    for key in WINDOWS:
        told = [(run_id, began) for name, run_id, began in answers if name == key]
        assert {run_id for run_id, _ in told} == {runs[key].run_id}, "all are told of the same run"
        assert sum(began for _, began in told) == 1
        assert runs[key].state == "completed"
