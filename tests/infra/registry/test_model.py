"""Any order of calls leaves the registry as a few plain Python objects would be: Hypothesis against both databases."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from infra.errors import Conflict, DuplicateTrigger, LeaseHeld, LeaseLost, UsageError
from infra.registry.records import RunGrant
from infra.registry.registry import Registry
from tests.infra.registry.builders import begin, commit, dead_holder, digest, promote, register

KEYS = st.sampled_from(["a", "c"])
STATES = st.sampled_from([("completed", False), ("failed", False), ("failed", True), ("cancelled", False)])
NUMBERS = st.integers(1, 4)


@dataclass
class Move:
    """A champion of the past, and the one that a rollback from it leads to."""

    version: int
    back: "Move | None"


@dataclass
class Model:
    fence: int = 0
    running: str | None = None
    dead: bool = False
    states: dict[str, str] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    moves: list[tuple[str, int, int | None]] = field(default_factory=list)
    champion: Move | None = None
    released_by: tuple[str, int] | None = None


class RegistryMachine(RuleBasedStateMachine):
    """Each example has a project of its own in the one database."""

    registry: Registry
    projects: "count[int]"

    def __init__(self) -> None:
        super().__init__()
        self.project = f"project-{next(self.projects)}"
        self.model = Model()
        self.numbers = count()
        self.latest: RunGrant | None = None

    grants = Bundle("grants")

    @initialize()
    def start_with_a_champion_of_three_versions(self) -> None:
        grant: Any = self.begin(key=None, dies=False)
        for key in ("a", "b", "d"):
            self.register(grant, key)
        for number in (1, 2, 3):
            self.release(number, "promote", grant, stale=False)
        self.finish(grant, ("completed", False))

    @rule(target=grants, key=KEYS | st.none(), dies=st.booleans())
    def begin(self, key: str | None, dies: bool) -> Any:
        model = self.model
        if model.running is not None and model.dead:
            model.states[model.running] = "crashed"
            model.triggers = {name: run for name, run in model.triggers.items() if run != model.running}
            model.running = None
        holder = {"holder": dead_holder()} if dies else {}
        try:
            grant = begin(self.registry, self.project, trigger_key=key, **holder)
        except DuplicateTrigger as error:
            self.check_duplicate(key, error)
            return None
        except LeaseHeld:
            assert model.running is not None
            return None
        assert model.running is None
        assert key not in model.triggers
        model.fence += 1
        assert grant.fence == model.fence
        model.running, model.dead = grant.run_id, dies
        model.states[grant.run_id] = "running"
        if key is not None:
            model.triggers[key] = grant.run_id
        self.latest = grant
        return grant

    def check_duplicate(self, key: str | None, error: DuplicateTrigger) -> None:
        assert key is not None
        assert error.run_id == self.model.triggers[key]

    def holds(self, grant: RunGrant) -> bool:
        return grant.run_id == self.model.running

    @rule(grant=grants, ending=STATES)
    def finish(self, grant: RunGrant | None, ending: tuple[Any, bool]) -> None:
        if grant is None:
            return
        state, retryable = ending
        try:
            self.registry.finish_run(grant, state=state, outcome={}, retryable=retryable)
        except LeaseLost:
            assert not self.holds(grant)
            assert self.model.states[grant.run_id] != state
            return
        if not self.holds(grant):
            assert self.model.states[grant.run_id] == state
            return
        self.model.states[grant.run_id] = state
        self.model.running = None
        if state == "failed" and retryable:
            self.model.triggers = {name: run for name, run in self.model.triggers.items() if run != grant.run_id}

    @rule(ending=STATES)
    def finish_the_latest(self, ending: tuple[Any, bool]) -> None:
        self.finish(self.latest, ending)

    @rule(grant=grants, key=KEYS)
    def commit_step(self, grant: RunGrant | None, key: str) -> None:
        if grant is None:
            return
        of, mine = f"{self.project} {key}", next(self.numbers)
        try:
            result = commit(self.registry, grant, of=of, result={"n": mine})
        except LeaseLost:
            assert not self.holds(grant)
        else:
            assert self.holds(grant)
            assert result == {"n": self.model.steps.setdefault(key, mine)}
        found = self.registry.find_step(digest(of))
        assert found == ({"n": self.model.steps[key]} if key in self.model.steps else None)

    @rule(grant=grants, key=KEYS)
    def register(self, grant: RunGrant | None, key: str) -> None:
        if grant is None:
            return
        try:
            row = register(self.registry, grant, key=key)
        except LeaseLost:
            assert not self.holds(grant)
            return
        assert self.holds(grant)
        if key not in self.model.versions:
            self.model.versions.append(key)
        assert row.number == self.model.versions.index(key) + 1

    @rule(number=NUMBERS, stale=st.booleans())
    def promote_by_hand(self, number: int, stale: bool) -> None:
        self.release(number, "promote", None, stale=stale)

    @rule(number=NUMBERS, grant=grants)
    def promote_in_a_run(self, number: int, grant: RunGrant | None) -> None:
        if grant is not None:
            self.release(number, "promote", grant, stale=False)

    @rule(number=NUMBERS)
    def roll_back_to(self, number: int) -> None:
        self.release(number, "rollback", None, stale=False)

    @rule()
    def roll_back(self) -> None:
        model = self.model
        try:
            target = self.registry.rollback_target(self.project).number
        except UsageError:
            assert model.champion is None or model.champion.back is None
            return
        assert model.champion is not None
        assert model.champion.back is not None
        assert target == model.champion.back.version
        self.release(target, "rollback", None, stale=False)

    def release(self, number: int, kind: Any, grant: RunGrant | None, *, stale: bool) -> None:
        model = self.model
        seq = len(model.moves) - stale
        again = grant is not None and model.released_by == (grant.run_id, number)
        try:
            row = promote(self.registry, number, seq, self.project, kind=kind, fencing=grant)
        except LeaseLost:
            assert grant is not None
            assert not self.holds(grant)
            return
        except Conflict:
            assert stale
            return
        except UsageError:
            was_champion = any(version == number for _, version, _ in model.moves)
            is_champion = model.champion is not None and model.champion.version == number
            assert number > len(model.versions) or is_champion or (kind == "rollback" and not was_champion)
            return
        assert not stale
        assert grant is None or self.holds(grant)
        if again:
            assert row.seq == len(model.moves)
            return
        model.moves.append((kind, number, model.champion.version if model.champion else None))
        model.champion = self.move(kind, number)
        model.released_by = (grant.run_id, number) if grant is not None else None

    def move(self, kind: str, number: int) -> Move:
        earlier = self.model.champion.back if self.model.champion else None
        while kind == "rollback" and earlier is not None:
            if earlier.version == number:
                return earlier
            earlier = earlier.back
        return Move(number, self.model.champion)

    @invariant()
    def the_champion_is_the_last_release(self) -> None:
        history = self.registry.history(self.project)
        assert [(row.kind, row.version, row.previous) for row in history] == self.model.moves
        assert [row.seq for row in history] == list(range(1, len(history) + 1))
        champion = self.registry.champion(self.project)
        assert champion.seq == len(history)
        assert champion.version == (history[-1].version if history else None)

    @invariant()
    def versions_and_runs_are_as_the_model_has_them(self) -> None:
        versions = self.registry.versions(self.project)
        assert [(row.number, row.key) for row in versions] == list(enumerate(self.model.versions, start=1))
        found = {row.run_id: row.state for row in self.registry.runs(self.project, limit=1000)}
        assert found == self.model.states
        assert list(found.values()).count("running") <= 1


@pytest.mark.slow
def test_any_order_of_calls_agrees_with_a_plain_model(registry: Registry) -> None:
    machine = type("Machine", (RegistryMachine,), {"registry": registry, "projects": count(1)})
    bounds = settings(
        max_examples=40,
        stateful_step_count=25,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
