"""What the lock must hold whoever resolves it anew: an advisory service cannot be asked from a closed network."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

FLOORS = {
    "keras": "3.15.1",  # earlier lines have safe_mode bypasses
    "skops": "0.13",  # earlier ones load types that they do not show
    "prefect": "3.6.25",
}
EXTRAS_IN_LOCK = ("examples", "stack", "onnx", "dev")


def locked() -> list[tuple[Requirement, list[str]]]:
    """Return each pinned package with its hashes; a package may stand twice, with other markers."""
    text = re.sub(r"^\s*#.*$", "", LOCK, flags=re.MULTILINE).replace("\\\n", " ")
    parts = [line.split("--hash=") for line in text.splitlines() if line.strip()]
    return [(Requirement(name), [one.strip() for one in hashes]) for name, *hashes in parts]


PINNED = locked()
VERSIONS = {canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("==")) for pin, _ in PINNED}


def direct() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *(line for extra in EXTRAS_IN_LOCK for line in extras[extra])]


@pytest.mark.parametrize(("name", "floor"), FLOORS.items(), ids=FLOORS)
def test_no_package_is_locked_below_its_security_floor(name: str, floor: str) -> None:
    found = [Version(str(pin.specifier).removeprefix("==")) for pin, _ in PINNED if pin.name == name]
    assert found
    assert min(found) >= Version(floor)


def test_every_package_is_pinned_and_has_a_sha256() -> None:
    assert len(PINNED) > 100
    for pin, hashes in PINNED:
        assert [one.operator for one in pin.specifier] == ["=="], pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), pin


def test_the_lock_names_no_download_address() -> None:
    assert not re.search(r"\w+://|^-|^\S+ @ ", LOCK, flags=re.MULTILINE)


@pytest.mark.parametrize("line", direct())
def test_what_the_project_asks_for_is_what_the_lock_holds(line: str) -> None:
    asked = Requirement(line)
    assert asked.specifier.contains(VERSIONS[canonicalize_name(asked.name)], prereleases=True)


def test_nothing_is_installed_below_its_floor_by_the_projects_own_ranges() -> None:
    asked = {requirement.name: requirement.specifier for requirement in map(Requirement, PROJECT["dependencies"])}
    below = {"keras": "3.15.0", "skops": "0.12.0", "prefect": "3.6.24"}
    assert below.keys() == FLOORS.keys()
    assert not [name for name, version in below.items() if asked[name].contains(version)]
