"""What the forms of the Prefect UI explain, and what they refuse."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.exceptions import ParameterTypeError
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import ValidationError, validate

from flows.forms import explained
from flows.operating import promote, rollback
from flows.retraining import retrain
from flows.scoring import score
from flows.sweeping import sweep

DEPLOYED = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
BY_MACHINES = {"flows.fitting.fit"}
"""Never filled in by hand."""
ENTRYPOINTS = sorted({deployment["entrypoint"] for deployment in DEPLOYED} - BY_MACHINES)


def load(entrypoint: str) -> Flow[..., Any]:
    module, _, name = entrypoint.rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    return flow


def fields(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of a form with its place, those of nested objects included."""
    for name, field in schema.get("properties", {}).items():
        yield f"{where}{name}", field
    for kind, nested in schema.get("definitions", {}).items():
        yield from fields(nested, f"{kind}.")


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_every_field_of_every_form_is_explained(entrypoint: str) -> None:
    flow = load(entrypoint)
    schema = parameter_schema(flow).model_dump_for_openapi()  # what `prefect deploy` sends
    assert schema == flow.parameters.model_dump_for_openapi()
    silent = [where for where, field in fields(schema) if len(field.get("description", "")) < 10]
    assert not silent


RIGHT = {
    promote: {"version": "iris@7", "why": "it is better", "by": "ann"},
    rollback: {"project": "iris", "why": "it is worse", "by": "ann"},
    retrain: {
        "project": "iris",
        "as_of": None,
        "trigger": {"kind": "operator", "why": "", "window": ""},
        "dry_run": False,
    },
    sweep: {"pending_minutes": 10, "grace_hours": 48, "study_days": 90},
    score: {"project": "flights", "window": "", "as_of": None},
}
WRONG = [
    pytest.param(promote, {"version": "iris"}, id="no version"),
    pytest.param(promote, {"version": "Iris@7"}, id="capitals"),
    pytest.param(promote, {"why": ""}, id="no reason"),
    pytest.param(promote, {"why": " \n "}, id="blank reason"),
    pytest.param(promote, {"by": " "}, id="nobody"),
    pytest.param(promote, {"why": "x" * 501}, id="a novel"),
    pytest.param(rollback, {"project": "irsi"}, id="unknown project"),
    pytest.param(rollback, {"project": "../iris"}, id="a path"),
    pytest.param(retrain, {"project": "irsi"}, id="retrain an unknown project"),
    pytest.param(retrain, {"dry_run": "perhaps"}, id="neither yes nor no"),
    pytest.param(retrain, {"trigger": {"kind": "boredom"}}, id="unknown trigger"),
    pytest.param(sweep, {"pending_minutes": 0}, id="runs that are just about to start"),
    pytest.param(sweep, {"grace_hours": 1}, id="writes that go on"),
    pytest.param(sweep, {"study_days": 0}, id="searches that go on"),
    pytest.param(score, {"window": "July"}, id="no window"),
    pytest.param(score, {"project": "flihgts"}, id="score an unknown project"),
]


@pytest.mark.parametrize("flow", RIGHT, ids=lambda flow: flow.name)
def test_a_form_takes_what_is_right(flow: Flow[..., Any]) -> None:
    validate(RIGHT[flow], flow.parameters.model_dump_for_openapi(), raise_on_error=True)
    assert flow.validate_parameters(RIGHT[flow])


@pytest.mark.parametrize(("flow", "wrong"), WRONG)
def test_a_form_refuses_what_is_wrong_and_names_the_field(flow: Flow[..., Any], wrong: dict[str, Any]) -> None:
    filled = {**RIGHT[flow], **wrong}
    (name,) = wrong
    with pytest.raises(ValidationError, match=name):
        validate(filled, flow.parameters.model_dump_for_openapi(), raise_on_error=True)


def test_a_time_without_a_zone_is_refused_as_the_run_begins() -> None:
    with pytest.raises(ParameterTypeError, match=r"as_of: Input should have timezone info"):
        retrain.validate_parameters({**RIGHT[retrain], "as_of": "2026-01-01T00:00:00"})


def test_the_form_offers_the_projects_that_are_there() -> None:
    names = sorted(path.parent.name for path in Path("projects").glob("*/project.yaml"))
    assert rollback.parameters.properties["project"]["enum"] == names


def test_a_docstring_in_our_style_becomes_one_that_prefect_reads() -> None:
    @explained
    def act(what: str, why: str = "") -> None:
        """Act.

        In two paragraphs.

        Parameters
        ----------
        what
            What to do,
            in two lines.
        why
            The reason: kept.

        Raises
        ------
        UsageError
            Never.
        """

    properties = parameter_schema(act).properties
    assert {name: field["description"] for name, field in properties.items()} == {
        "what": "What to do, in two lines.",
        "why": "The reason: kept.",
    }
    assert "In two paragraphs." in str(act.__doc__)
