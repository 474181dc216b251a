"""The same path on a folder with SQLite and on real S3 and PostgreSQL servers gives the same (DESIGN.md, rule 7)."""

from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from tests.flows.conftest import Place
from tests.flows.tables import SPEC, make_table, write_rows

pytestmark = pytest.mark.engine

RECORDED: dict[str, tuple[str, ...]] = {}


def test_the_whole_path_is_the_same_everywhere(everywhere: Place, tmp_path: Path) -> None:
    place, folder = everywhere, make_table(everywhere, tmp_path / "projects")
    (folder / "project.yaml").write_text(dedent(SPEC).replace("superiority", "non_inferiority, margin: 0.3"))
    first = place.answer("run", "table")
    assert (first["status"], first["version"]) == ("released", "table@1")
    assert place.answer("run", "table")["status"] == "unchanged"

    write_rows(folder, sharpness=2.0, seed=1)
    second = place.answer("run", "table")
    assert second["champion"] == "table@2"
    shown = place.answer("show", "table@2")
    assert shown["verdict"]["decision"] == "PROMOTE"

    rows = place.home / "ask.csv"
    pd.DataFrame({"signal": [-3.0, 3.0], "noise": [0.0, 0.0]}).to_csv(rows, index=False)
    answered = pd.read_csv(place.answer("predict", "table", str(rows))["output"])
    assert answered["prediction"].tolist() == ["left", "right"]
    assert set(answered["version"]) == {"table@2"}

    assert place.keepfit("rollback", "table", "--why", "the north complains")[0] == 0
    assert place.keepfit("promote", "table@2", "--why", "the north was wrong")[0] == 0
    history = [(row["version"], row["kind"]) for row in place.answer("history", "table")]
    assert history == [(1, "promote"), (2, "promote"), (1, "rollback"), (2, "promote")]

    code, said = place.keepfit("doctor")
    assert code == 0, said
    assert not list(place.home.glob("store")) or place.store.startswith("file://")
    for secret in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        assert place.environment.get(secret, "no secret") not in said

    digests = tuple(run[part][name] for run in (first, second) for part, name in (("snapshot", "digest"),))
    contents = tuple(run["fit"]["chosen"]["content"] for run in (first, second))
    # The first place to come here says what the others must give.
    assert RECORDED.setdefault("digests", digests + contents) == digests + contents
