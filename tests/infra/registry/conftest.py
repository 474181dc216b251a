"""The registry under test, on both databases, and a crew of processes that race for it."""

from collections.abc import Iterator

import pytest

from infra.registry.registry import Registry, open_registry
from tests.infra.registry.crew import Crew


@pytest.fixture
def registry(registry_url: str) -> Iterator[Registry]:
    with open_registry(registry_url) as opened:
        yield opened


@pytest.fixture(scope="package")
def crew() -> Iterator[Crew]:
    with Crew(8) as started:
        yield started
