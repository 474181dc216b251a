import shutil
from datetime import UTC, datetime, timedelta
from math import inf, isnan, nan
from pathlib import Path

import pytest

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import open_store
from infra.registry.holder import describe_process
from infra.registry.registry import open_registry
from infra.settings import Settings
from infra.workspace import Workspace
from tasks import policies
from tasks.contracts.data import Snapshot
from tasks.contracts.evaluation import EvaluationReport, MetricValue, ScoredModel
from tasks.contracts.runs import RunContext
from tasks.policies import POLICIES, VOLATILE, source_digest, step_key

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def blob(letter):
    return ArtifactRef(digest=letter * 64, size_bytes=1, media_type="x/y")


def context(**changed):
    known = {"project": "demo", "run_id": "r1", "fence": 1, "spec": blob("a"), "code": "b" * 64, "as_of": NOON}
    return RunContext(**{**known, **changed})


def snapshot(**changed):
    known = {"digest": "c" * 64, "data": blob("d"), "rows": 3, "columns": ("x",), "source": "rows.csv"}
    return Snapshot(**{**known, "as_of": NOON, "taken_at": NOON, **changed})


def key(run=None, **inputs):
    return step_key("validate", run or context(), ((snapshot(**inputs),), {}))


LATER = NOON + timedelta(days=1)


@pytest.mark.parametrize(
    "other",
    [
        key(context(run_id="r2")),
        key(context(fence=2)),
        key(context(as_of=LATER)),
        key(taken_at=LATER),
        key(as_of=LATER),
        key(is_new=False),
    ],
    ids=["run", "fence", "run's time", "taken at", "as of", "is new"],
)
def test_when_and_by_which_run_a_step_is_done_does_not_change_its_key(other):
    assert other == key()


@pytest.mark.parametrize(
    "other",
    [
        key(context(spec=blob("0"))),
        key(context(code="0" * 64)),
        key(context(project="other")),
        key(digest="0" * 64),
        key(data=blob("0")),
        key(rows=4),
        step_key("split", context(), ((snapshot(),), {})),
        step_key("validate", context(), ((), {"snapshot": snapshot()})),
        step_key("validate", context(), ((snapshot(), blob("e")), {})),
    ],
    ids=["spec", "code", "project", "snapshot", "data", "rows", "step", "by name", "one more"],
)
def test_whatever_a_step_computes_from_changes_its_key(other):
    assert other != key()


def test_no_digest_is_volatile():
    assert not {name for name in VOLATILE if "digest" in name or name in ("content", "code", "spec", "data")}


def test_a_latency_that_the_gate_judges_is_part_of_its_key():
    quick, slow = (
        ScoredModel(role="candidate", label="a", artifact="a" * 64, content="b" * 64, latency_ms=ms, size_bytes=1)
        for ms in (1.0, 900.0)
    )
    assert step_key("decide", context(), ((quick,), {})) != step_key("decide", context(), ((slow,), {}))


def test_a_figure_that_is_undefined_comes_back_from_the_ledger_as_it_was(tmp_path, monkeypatch):
    undefined = MetricValue(metric="roc_auc", value=nan, low=nan, high=inf, n=3, direction="higher")
    report = EvaluationReport(metrics=(undefined,), baseline=(), smallest_detectable=inf)
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        workspace = Workspace(Settings(), open_store((tmp_path / "store").as_uri()), registry)
        monkeypatch.setattr(policies, "open_workspace", lambda: workspace)
        grant = registry.begin_run(
            project="demo",
            flow="retrain",
            trigger_kind="operator",
            trigger_key=None,
            why="",
            parameters={},
            actor="tester",
            holder=describe_process(),
        )
        run = context(run_id=grant.run_id, fence=grant.fence)
        kept = EvaluationReport.model_validate(policies._commit("evaluate", "e" * 64, run, report, 0.0))
    assert isnan(kept.metrics[0].value)
    assert (kept.metrics[0].high, kept.smallest_detectable) == (inf, inf)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Return a copy of the sources that the digests are then taken over."""
    real = Path(policies.__file__).parent
    shutil.copytree(real, tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements.lock").write_text("a==1\n")
    monkeypatch.setattr(policies, "__file__", str(tmp_path / "tasks" / "policies.py"))
    source_digest.cache_clear()
    yield tmp_path
    source_digest.cache_clear()


def digests():
    source_digest.cache_clear()
    return {stage: source_digest(stage) for stage in sorted({policy.stage for policy in POLICIES.values()})}


def changed_by(path, edit):
    before = digests()
    edit(path)
    return {stage for stage, digest in digests().items() if digest != before[stage]}


def append(path):
    path.write_text(path.read_text() + "# another line\n")


def test_an_edit_in_a_stage_changes_the_keys_of_that_stage_alone(copied):
    assert changed_by(copied / "tasks" / "training" / "selection.py", append) == {"training"}
    assert changed_by(copied / "tasks" / "training" / "new.py", lambda path: path.write_text("")) == {"training"}
    assert changed_by(copied / "tasks" / "training" / "fitting.py", Path.unlink) == {"training"}


@pytest.mark.parametrize(
    "shared", ["tasks/contracts/project.py", "tasks/models/model.py", "tasks/metrics/formulas.py", "requirements.lock"]
)
def test_an_edit_in_what_all_stages_share_changes_every_key(copied, shared):
    assert changed_by(copied / shared, append) == digests().keys()


def test_a_touched_file_with_the_same_text_changes_nothing(copied):
    assert (
        changed_by(copied / "tasks" / "training" / "selection.py", lambda path: path.write_text(path.read_text()))
        == set()
    )


def test_every_package_that_stages_may_share_is_part_of_their_keys():
    stages = {policy.stage for policy in POLICIES.values()}
    packages = {path.parent.name for path in Path(policies.__file__).parent.glob("*/__init__.py")}
    assert packages - stages == {*policies.SHARED_SOURCES, "project", "monitoring", "labelling"}, (
        "monitoring and labelling keep no step in the ledger"
    )
