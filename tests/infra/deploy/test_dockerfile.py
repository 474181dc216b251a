"""The image: linted, locked, without root. It was not built: there is no Docker where these tests run."""

import re
import subprocess
import sys
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.infra.deploy.files import PROJECT, ROOT, list_pins, list_unknown_variables, read

DOCKERFILE = read("Dockerfile")


def lint(text: str) -> str:
    """Return what hadolint finds, of whatever severity."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_hadolint_finds_nothing() -> None:
    assert lint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("ours", "worse", "rule"),
    [
        ("FROM python:${PYTHON}-slim-bookworm", "FROM python:latest", "DL3007"),
        ("USER 10001:10001", "USER root", "DL3002"),
        (" --no-install-recommends", "", "DL3015"),
        ("tini=0.19.0-*", "tini", "DL3008"),
    ],
)
def test_hadolint_finds_what_is_worse(ours: str, worse: str, rule: str) -> None:
    assert rule in lint(DOCKERFILE.replace(ours, worse))


def find_problems(text: str) -> list[str]:
    """Return what breaks our own rules, which hadolint does not know."""
    build, _, final = text.partition("\nFROM python AS runtime\n")
    lines = text.splitlines()
    bare = [line for before, line in pairwise(lines) if "hadolint ignore" in line and before[:2] != "# "]
    installs = re.findall(r"(?:uv|python -m) pip install(?:[^\n]*\\\n)*[^\n]*", text)
    users = re.findall(r"^USER (.+)$", text, re.MULTILINE)
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", final, re.MULTILINE)
    names = re.findall(r"\b((?:KEEPFIT|PREFECT)_[A-Z_]+)=", text)
    rules = {
        "an ignore without its reason": bool(bare),
        "an install without hashes": not installs or any("--require-hashes" not in each for each in installs),
        "byte code switched off": "PYTHONDONTWRITEBYTECODE" in text,
        "byte code not made": text.count("--compile-bytecode") != 2 or "compileall" not in build,
        "tools in the final stage": not final or bool(re.search(r"apt-get|curl|wget|gcc|pip install", final)),
        "another user": users != ["10001:10001"] or "--uid 10001" not in final,
        "targets that do not rest on the runtime": stages != [("runtime", "gpu"), ("runtime", "cpu")],
        "another version": f'image.version="{PROJECT["version"]}"' not in text,
        "another entry point": "from {} import {}".format(*PROJECT["scripts"]["keepfit"].split(":")) not in text,
        "a variable that nothing reads": bool(list_unknown_variables(iter(names))),
        "an address": bool(re.search(r"https?://", text)),
    }
    return [problem for problem, broken in rules.items() if broken]


def test_the_image_follows_our_rules() -> None:
    assert find_problems(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("ours", "worse", "problem"),
    [
        ("# Unquoted as above.\n", "\n", "an ignore without its reason"),
        ("--require-hashes --only-binary", "--only-binary", "an install without hashes"),
        ("PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "byte code switched off"),
        ("--compile-bytecode", "", "byte code not made"),
        ("RUN python -m pip uninstall", "RUN apt-get update && python -m pip uninstall", "tools in the final stage"),
        ("USER 10001:10001", "USER 0:0", "another user"),
        ("FROM runtime AS cpu", "FROM packages-cpu AS cpu", "targets that do not rest on the runtime"),
        ('image.version="', 'image.version="9', "another version"),
        ("from flows.cli.main import main", "from flows.main import main", "another entry point"),
        ("KEEPFIT_CHECKOUT=", "KEEPFIT_CHECKOUTS=", "a variable that nothing reads"),
        ("PREFECT_HOME=", "PREFECT_HOUSE=", "a variable that nothing reads"),
        ("--require-hashes -r", "--index-url https://x.example --require-hashes -r", "an address"),
    ],
)
def test_a_worse_image_is_found(ours: str, worse: str, problem: str) -> None:
    assert ours in DOCKERFILE
    assert problem in find_problems(DOCKERFILE.replace(ours, worse))


def find_gaps(lock: str) -> list[str]:
    """Return the packages of tensorflow[and-cuda] that the second lock lacks, or does not need."""
    wanted = {
        requirement.name: requirement
        for requirement in map(Requirement, metadata.requires("tensorflow") or [])
        if requirement.marker and "and-cuda" in str(requirement.marker)
    }
    pins = list_pins(lock)
    main = list_pins((ROOT / "requirements.lock").read_text())
    missing = [
        name
        for name, requirement in wanted.items()
        if name not in pins or not requirement.specifier.contains(pins[name][0]) or not pins[name][1]
    ]
    return missing + sorted(name for name in pins if name not in wanted or name in main)


GPU_LOCK = read("requirements-gpu.lock")


def test_the_second_lock_is_what_the_gpu_adds_and_no_more() -> None:
    assert len(list_pins(GPU_LOCK)) > 10
    assert find_gaps(GPU_LOCK) == []


@pytest.mark.parametrize(
    ("pattern", "worse"),
    [
        (r"nvidia-nccl-cu12==.*\\\n(    --hash.*\n)+", ""),
        (r"nvidia-nccl-cu12==", "nvidia-nccl-cu11=="),
        (r"nvidia-cudnn-cu12==9", "nvidia-cudnn-cu12==8"),
        (r"(nvidia-nccl-cu12==\S+) \\\n(    --hash.*\n)+", r"\1\n"),
        (r"nvidia-nccl-cu12==", "numpy==2.4.6 \\\\\n\nnvidia-nccl-cu12=="),
    ],
    ids=["missing", "renamed", "other version", "no hash", "one of the other lock"],
)
def test_a_gap_in_the_second_lock_is_found(pattern: str, worse: str) -> None:
    changed = re.sub(pattern, worse, GPU_LOCK)
    assert changed != GPU_LOCK
    assert find_gaps(changed) != []


def test_the_context_holds_what_is_copied_and_no_more() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(
        ["flows", "tasks", "infra", "projects", "prefect.yaml", "pyproject.toml", "requirements.lock", "LICENSE"]
    )
    assert all((ROOT / name).exists() for name in allowed)
