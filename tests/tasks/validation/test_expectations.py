import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tasks.validation import expectations
from tasks.validation.expectations import Asked, find_rows, run_suite, strict_json

ASKED = [
    Asked("expect_column_values_to_be_between", {"column": "b", "max_value": 3}),
    Asked("expect_table_row_count_to_be_between", {"min_value": 3}),
    Asked("expect_column_values_to_not_be_null", {"column": "a"}),
    Asked("expect_column_values_to_be_between", {"column": "a", "max_value": 3}),
    Asked("expect_column_to_exist", {"column": "c"}),
    Asked("expect_column_mean_to_be_between", {"column": "t", "min_value": 0}),
]
FRAME = pd.DataFrame({"a": [1.0, None, 5.0, 7.0], "b": [1, 2, 3, 4], "t": list("wxyz")})


def test_answers_come_in_the_order_of_the_questions():
    answers, result = run_suite(FRAME, ASKED)
    assert [answer.status for answer in answers] == ["failed", "passed", "failed", "failed", "failed", "crashed"]
    assert [answer.unexpected_rows for answer in answers[:4]] == [1, None, 1, 2]
    assert "4" in answers[1].observed
    assert answers[5].crash
    assert result["success"] is False


def test_columns_asked_apart_give_the_same_answers(monkeypatch):
    together, result = run_suite(FRAME, ASKED)
    monkeypatch.setattr(expectations, "MANY_ROWS", 2)
    apart, joined = run_suite(FRAME, ASKED)
    assert [answer._replace(crash="") for answer in apart] == [answer._replace(crash="") for answer in together]
    assert joined["statistics"] == result["statistics"]
    assert len(joined["results"]) == len(result["results"]) == len(ASKED)


def test_rows_are_found_where_an_expectation_speaks_of_rows():
    assert find_rows(FRAME, ASKED[3]) == [2, 3]
    assert find_rows(FRAME, ASKED[1]) is None


def test_json_has_no_word_for_nan():
    assert strict_json({"a": [float("nan"), 1.5, float("-inf"), None, np.int64(3)]}) == {
        "a": ["nan", 1.5, "-inf", None, "3"]
    }


@pytest.mark.slow
def test_nothing_is_written_sent_or_shown(tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    code = (
        "import pandas as pd\n"
        "from tasks.validation.expectations import Asked, run_suite\n"
        "run_suite(pd.DataFrame({'a': [1]}), [Asked('expect_column_to_exist', {'column': 'a'})])\n"
        "import socket, sys\n"
        "assert 'great_expectations' in sys.modules\n"
    )
    block = "import socket\ndef refuse(*a, **k): raise SystemExit('a connection was opened')\nsocket.socket.connect = refuse\n"
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": os.getcwd()}
    environment.pop("GX_ANALYTICS_ENABLED", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", block + code],
        check=False,
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.rglob("*")) == list(work.rglob("*")) == []
