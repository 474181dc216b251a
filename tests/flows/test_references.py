"""What a window is held against, by policy: the training rows, the last windows, or the same season a year before."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from flows.batches import score_batch
from flows.labels import deliver_labels
from flows.references import Reference, find_reference
from flows.watching import watch_window
from infra.errors import BlobNotFound
from infra.registry.records import BatchRow
from infra.workspace import open_workspace
from tasks.contracts.monitoring import DriftReport
from tasks.contracts.project import ProjectSpec
from tasks.contracts.upkeep import Drift
from tasks.monitoring.drift import Held, decide_drift
from tasks.monitoring.summaries import summarize_window
from tasks.release.stored import StoredVersion, find_version
from tasks.windows import parse_window
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, train_watched
from tests.tasks.release.waiting import own_workspace

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("watching")]

RULES = """\
  drift: {min_rows: 100, reference: same_season}
  performance: {min_rows: 100}
"""
SHIFTS = {
    "2012-07-04": 1.0,  # high season, 52 weeks before 3 July 2013
    "2013-07-02": 0.0,
    "2013-07-03": 1.0,  # the season again; and a leap for who knows only the day before
    "2013-07-04": 1.04,  # from here on it creeps
    "2013-07-05": 1.08,
    "2013-07-06": 1.12,
}
SEASON, LEAP, CREPT = "2012-07-04", "2013-07-03", "2013-07-06"
LATER = datetime(2013, 7, 20, tzinfo=UTC)


@pytest.fixture(scope="session")
def zygote(watching_zygote: Zygote) -> Zygote:
    return watching_zygote


@pytest.fixture(scope="module")
def trained(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place where these days are scored, 300 visits each, and their labels are in; `signal` is moved by so many sd."""
    place = train_watched(zygote, tmp_path_factory.mktemp("trained"), rules=RULES, history=1_500)
    days = [make_visits(300, day, 1, seed=seed) for seed, day in enumerate(SHIFTS, 1)]
    moved = [rows.assign(signal=rows["signal"] + shift) for rows, shift in zip(days, SHIFTS.values(), strict=True)]
    projects = Path(place.environment["KEEPFIT_PROJECTS"])
    pd.concat(moved).to_csv(projects / "visits" / "stream.csv", index=False)
    with pytest.MonkeyPatch.context() as patch, own_workspace(place.home, patch):
        patch.setenv("KEEPFIT_PROJECTS", str(projects))
        for day in SHIFTS:
            score_batch("visits", day, as_of=LATER)
            deliver_labels("visits", window=day, as_of=LATER)
        yield place


def batch_of(window: str) -> BatchRow:
    batch = open_workspace().registry.batch("visits", window)
    assert batch is not None
    return batch


def champion() -> tuple[ProjectSpec, StoredVersion]:
    version = find_version("visits@1")
    return ProjectSpec.model_validate_json(open_workspace().store.read(version.manifest.spec)), version


def reference_of(window: str, as_of: datetime = LATER, **rules: object) -> Reference:
    return find_reference(*champion(), parse_window(window), Drift(min_rows=100, **rules), as_of)  # type: ignore[arg-type]


def judge(window: str, folder: Path, **rules: object) -> DriftReport:
    """Decide as monitoring does: the rows and the champion's answers."""
    reference, store = reference_of(window, **rules), open_workspace().store
    assert reference.features is not None
    rows = store.fetch(batch_of(window).rows_blob, folder / "rows.parquet")
    answers = store.fetch(batch_of(window).predictions_blob, folder / "answers.parquet")
    beside = [Held(reference.predictions, summarize_window(answers, reference.predictions))]
    window_rows = summarize_window(rows, reference.features)
    return decide_drift(reference.features, window_rows, Drift(min_rows=100), beside=beside)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("window", "policy", "alarms"),
    [
        (LEAP, "training", True),
        (LEAP, "same_season", False),
        (LEAP, "trailing", True),
        (CREPT, "training", True),
        (CREPT, "trailing", False),
        ("2013-07-02", "training", False),
    ],
    ids=[
        "a season, against training",
        "a season, against the same one",
        "a leap, against the days before",
        "a creep, against training",
        "a creep, against the days before",
        "no change",
    ],
)
def test_the_policy_says_which_changes_alarm(window: str, policy: str, alarms: bool, tmp_path: Path) -> None:
    report = judge(window, tmp_path, reference=policy, trailing_windows=3 if window == CREPT else 1)
    assert report.alarm is alarms, report.reason
    assert ("signal" in report.drifted) is alarms
    named = {"training": "the training rows of visits@1", "same_season": SEASON, "trailing": "2013-07-0"}[policy]
    assert named in report.reference


@pytest.mark.usefixtures("trained")
def test_trailing_windows_are_those_before_as_far_as_they_were_scored() -> None:
    found = reference_of(CREPT, reference="trailing", trailing_windows=9)
    assert found.features is not None
    assert found.features.described == "the rows of 2013-07-02, 2013-07-03, 2013-07-04, 2013-07-05"
    assert found.features.rows == found.predictions.rows == found.target.rows == 1_200


@pytest.mark.usefixtures("trained")
def test_labels_of_the_reference_count_once_they_are_known() -> None:
    early = reference_of(LEAP, datetime(2013, 7, 4, tzinfo=UTC), reference="trailing", trailing_windows=1)
    assert (early.features.rows if early.features else 0, early.target.rows) == (300, 0)


@pytest.mark.usefixtures("trained")
def test_without_the_windows_that_the_policy_names_it_is_unknown_and_says_which() -> None:
    for policy, said in (("same_season", "2012-07-03 is not there"), ("trailing", "None of 2013-07-01, 2013-06-30, ")):
        reference = reference_of("2013-07-02", reference=policy)
        assert reference.features is None
        assert said in reference.absent
    watched = watch_window("visits", "2013-07-02", LATER)
    assert watched.status == "UNKNOWN"
    assert "2012-07-03 is not there to hold this window against (monitoring.drift.reference)" in watched.reasons[0]
    assert watched.drift is not None
    assert watched.drift.alarm is None


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("policy", ["training", "trailing", "same_season"])
def test_what_was_counted_once_is_not_counted_again_and_torn_counts_are(policy: str) -> None:
    store, cache = open_workspace().store, open_workspace().settings.home / "cache" / "references"
    shutil.rmtree(cache, ignore_errors=True)
    first = reference_of(LEAP, reference=policy)
    spec, version = champion()
    counted = [version.manifest.split.train, version.manifest.split.test, version.manifest.model.artifact]
    counted += [batch_of("2013-07-02").rows_blob, batch_of(SEASON).rows_blob]
    bytes_of = {ref: store.read(ref) for ref in counted}
    rules, window = Drift(min_rows=100, reference=policy), parse_window(LEAP)  # type: ignore[arg-type]
    for ref in counted:
        store.delete(ref.digest)
    try:
        assert find_reference(spec, version, window, rules, LATER) == first, "nothing of it was read again"
        for path in cache.iterdir():
            path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(BlobNotFound):
            find_reference(spec, version, window, rules, LATER)
    finally:
        for ref, content in bytes_of.items():
            store.put_bytes(content, ref.media_type)
    assert find_reference(spec, version, window, rules, LATER) == first, "made again"


@pytest.mark.usefixtures("trained")
def test_another_reference_is_counted_anew() -> None:
    one, two = (reference_of(window, reference="trailing", trailing_windows=1) for window in (LEAP, "2013-07-04"))
    assert one.features is not None
    assert two.features is not None
    assert one.features.digest != two.features.digest
    assert (one.features.described, two.features.described) == ("the rows of 2013-07-02", f"the rows of {LEAP}")


@pytest.mark.usefixtures("trained")
def test_windows_that_lack_a_feature_of_the_champion_are_no_reference() -> None:
    spec, version = champion()
    more = spec.model_copy(update={"columns": {**spec.columns, "more": spec.columns["noise"]}})
    row = version.row.model_copy(update={"number": 2})
    rules, window = Drift(min_rows=100, reference="trailing"), parse_window(CREPT)
    found = find_reference(spec, version._replace(row=row), window, rules, LATER)
    assert found.features is not None
    assert found.predictions.rows == 0, "those are the answers of another version"
    found = find_reference(more, version._replace(row=row), window, rules, LATER)
    assert found.features is None
    assert "without a feature of visits@2" in found.absent
