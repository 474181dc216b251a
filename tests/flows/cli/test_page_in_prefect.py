import logging

import httpx
import pytest
from prefect.exceptions import ParameterTypeError

from flows.artifacts import publishing, verdict
from flows.retraining import retrain
from tests.flows.cli.outcomes import make_outcome

KEPT = {"status": "held", "version": "iris@1", "champion": None, "decision": "HOLD"}


def test_a_page_that_cannot_be_written_does_not_fail_a_run_that_is_done(monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise httpx.ConnectError("gone")

    monkeypatch.setattr(publishing.FlowRunContext, "get", object)
    monkeypatch.setattr(verdict, "_render_pictures", lambda evaluation: ["picture"])
    monkeypatch.setattr(verdict, "create_markdown_artifact", refuse)
    with caplog.at_level(logging.WARNING, logger="flows"):
        verdict.publish_outcome(make_outcome(**KEPT))
    assert "the verdict could not be put on the run's page: gone" in caplog.text


def test_a_time_without_a_zone_is_refused_before_the_run():
    with pytest.raises(ParameterTypeError, match="as_of"):
        retrain.validate_parameters({"project": "iris", "as_of": "2026-01-01T00:00:00"})
