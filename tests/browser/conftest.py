"""A browser for the tests of the UI, and what it showed when one of them failed."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.window import Window
from tests.servers.stack import Stack

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic"]  # Chromium has no sandbox for root
STEP_MS = 30_000
FAILED = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.session.stash.setdefault(FAILED, item.name)
    return report


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser. A machine without one skips these tests; CI has one."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"no browser here: expected {', '.join(NAMES)} or the like on the PATH")
    assert path is not None, f"CI has no browser: expected one of {', '.join(NAMES)} on the PATH"
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # For one module: as long as it is open, an event loop runs in this thread.
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=OPTIONS) as browser:
        expect.set_options(timeout=STEP_MS)
        yield browser


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: the folder that KEEPFIT_SCREENSHOTS names, or a temporary one."""
    folder = Path(os.environ.get("KEEPFIT_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def stranger(browser: Browser, stack: Stack, pictures: Path) -> Window:
    """A window of somebody who has no password."""
    return Window(browser, stack.state.ui, pictures)


@pytest.fixture(scope="module")
def window(browser: Browser, stack: Stack, pictures: Path) -> Window:
    """The window of an operator who has logged in."""
    window = Window(browser, stack.state.ui, pictures)
    window.log_in(stack.state.sign_in)
    return window


@pytest.fixture(autouse=True)
def evidence(request: pytest.FixtureRequest, browser: Browser, pictures: Path) -> Iterator[None]:
    """Each test goes on where the one before ended; the first that fails leaves a picture and a trace."""
    if (failed := request.session.stash.get(FAILED, None)) is not None:
        pytest.skip(f"goes on from {failed}, which failed")
    yield
    if request.session.stash.get(FAILED, None) is None:
        return
    for number, context in enumerate(browser.contexts):
        context.pages[-1].screenshot(path=pictures / f"failed-{number}.png")
        context.tracing.stop(path=pictures / f"failed-{number}.zip")  # `playwright show-trace` opens it


@pytest.fixture(scope="module")
def respecify(stack: Stack) -> Iterator[Callable[[int], None]]:
    """Make penguins a light project whose versions a person lets out, cut by a seed of the test's choice."""
    path = stack.projects / "penguins" / "project.yaml"
    before = path.read_text()

    def write(seed: int) -> None:
        spec = yaml.safe_load(before)
        spec["release"] = {"approval": "operator"}
        spec["split"]["seed"] = seed
        spec["candidates"] = {"logistic": spec["candidates"]["logistic"]}
        spec["selection"] = {"folds": 2}
        del spec["gate"]["budgets"]  # a busy machine answers late
        path.write_text(yaml.safe_dump(spec, sort_keys=False))

    yield write
    path.write_text(before)
