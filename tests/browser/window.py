"""A browser window with the Prefect UI, and the few things that an operator does there."""

import re
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Route, ViewportSize, expect

SIZE: ViewportSize = {"width": 1280, "height": 900}
ELSEWHERE = re.compile(r"^(https?|wss?)://(?!127\.0\.0\.1[:/])")
RUN_MS = 180_000
"""A run has been given a worker, has done its work and has ended."""

FEED_S = 120

LOOKS = 5
LOOK_MS = 5_000


class Window:
    """One browser window of a person who knows nothing but the address of the UI."""

    def __init__(self, browser: Browser, ui: str, pictures: Path) -> None:
        self.ui = ui
        self.pictures = pictures
        self.asked_elsewhere: set[str] = set()
        self._run_name = ""
        self.context = browser.new_context(viewport=SIZE, timezone_id="UTC", locale="en-US")
        self.context.route(ELSEWHERE, self._refuse)
        self.context.tracing.start(snapshots=True)
        self.page = self.context.new_page()
        self.main = self.page.get_by_role("main")
        self.form = self.page.locator("form")
        self.dialog = self.page.get_by_role("dialog", name="Resume Flow Run")
        self.notices = self.page.get_by_role("region", name="Notifications")

    def _refuse(self, route: Route) -> None:
        """Let nothing leave this machine, and remember who was asked."""
        self.asked_elsewhere.add(urlsplit(route.request.url).hostname or "")
        route.abort()

    def keep_picture(self, name: str, height: int = SIZE["height"]) -> None:
        self.page.set_viewport_size({**SIZE, "height": height})
        self.page.screenshot(path=self.pictures / f"{name}.png")
        self.page.set_viewport_size(SIZE)

    def try_line(self, line: str) -> None:
        """Type a line of NAME:PASSWORD into the login and send it."""
        self.page.get_by_role("textbox").fill(line)
        self.page.get_by_role("button", name="Login").click()

    def log_in(self, line: str) -> None:
        self.page.goto(self.ui)
        self.try_line(line)
        expect(self.page.get_by_role("button", name="Logout")).to_be_visible()

    def open_section(self, name: str) -> None:
        """Click on an entry of the menu at the left."""
        self.page.get_by_role("listitem").get_by_role("link", name=name, exact=True).first.click()

    def open_form(self, flow: str, deployment: str) -> None:
        """Open the custom run of a deployment."""
        self.open_section("Deployments")
        self.main.get_by_placeholder("Search deployments").fill(deployment)  # more than one page of them
        # The search changes the address late, and with it the page that a click has opened meanwhile.
        self.page.wait_for_url(re.compile(f"[?&]flowOrDeploymentName={deployment}"))
        row = self.page.get_by_role("row")
        for name in (flow, deployment):
            row = row.filter(has=self.page.get_by_role("link", name=name, exact=True))
        row.get_by_role("link", name=deployment, exact=True).click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        expect(self.main.get_by_role("heading", name="Parameters")).to_be_visible()
        self._run_name = self.form.get_by_label("Run Name").input_value()

    def fill(self, where: Locator, **values: str) -> None:
        """Type into the fields of a form, found by their labels."""
        for label, value in values.items():
            where.get_by_label(re.compile(rf"^{label}( \(Optional\))?$")).fill(value)

    def choose(self, where: Locator, field: str, value: str) -> None:
        """Choose from a list."""
        where.get_by_role("button", name=f"Select {field}").click()
        self.page.get_by_role("option", name=value, exact=True).click()

    def submit(self) -> None:
        self.form.get_by_role("button", name="Submit").click()
        self.page.mouse.move(0, 0)  # a notice appears over this button, and stays while the mouse is on it

    def submit_again(self) -> None:
        """Submit what was refused and is corrected now: the UI's first click mostly just takes the refusal away."""
        for _ in range(LOOKS):
            self.submit()
            with suppress(AssertionError):
                expect(self._notice).to_be_visible(timeout=LOOK_MS)
                return

    @property
    def _notice(self) -> Locator:
        """What the UI says when it has started the run of the form."""
        notice = self.notices.get_by_role("listitem").filter(has_text=self._run_name)
        return notice.get_by_role("link", name="View run")

    def open_started_run(self) -> None:
        """Follow the notice that the run of the form is started."""
        self._notice.click()
        self._expect_run()

    def open_run(self, name: str) -> None:
        """Open a run from the list of runs, as soon as it is there."""
        self.open_section("Runs")
        self.main.get_by_role("link", name=name, exact=True).first.click(timeout=RUN_MS)
        self._expect_run()

    @property
    def _of_a_run(self) -> Locator:
        """What only the page of a run shows."""
        return self.main.get_by_role("tab", name="Subflow Runs")

    def _expect_run(self) -> None:
        """Wait until the page of a run is there: the one before stays on the screen while it loads."""
        expect(self._of_a_run).to_be_visible()

    def open_tab(self, name: str) -> None:
        self.main.get_by_role("tab", name=name, exact=True).click()

    def expect_state(self, name: str) -> None:
        """Wait until the run on the screen is in this state."""
        expect(self.main.get_by_text(name, exact=True).first).to_be_visible(timeout=RUN_MS)

    def open_artifact(self, name: str) -> Locator:
        """Open an artifact of the run on the screen by what its card says, and return what it shows."""
        self.open_tab("Artifacts")
        self.main.get_by_role("link").filter(has_text=name).first.click()
        self.page.wait_for_url(re.compile(r"/artifacts/artifact/"))
        return self.main.get_by_role("tabpanel", name="Artifact", exact=True)

    def open_history(self, key: str) -> Locator:
        """Open the newest of what all runs have put under this key, and return what it shows."""
        self.open_tab("Artifacts")
        self.main.get_by_role("link", name=key).click()
        self.page.wait_for_url(re.compile(r"/artifacts/key/"))
        expect(self._of_a_run).to_have_count(0)  # its page stays on the screen while the next one loads
        self.main.locator("a[href*='/artifacts/artifact/']").first.click()
        return self.main.get_by_role("tabpanel", name="Artifact", exact=True)

    def open_feed(self, kind: str, news: str) -> None:
        """Open the event feed, let it show one kind of events, and look again until it shows the news.

        The feed ends where the minute that runs began.
        """
        give_up = time.monotonic() + FEED_S
        self._open_feed(kind)
        while not self.main.get_by_text(news).first.is_visible():
            assert time.monotonic() < give_up, news
            self.page.wait_for_timeout(LOOK_MS)
            self.page.goto(self.ui)
            self._open_feed(kind)

    def _open_feed(self, kind: str) -> None:
        self.open_section("Event Feed")
        self.main.get_by_role("button", name="Filter by event type").click()
        self.page.get_by_role("option", name=kind, exact=True).click()
        self.page.keyboard.press("Escape")
        expect(self.main.get_by_role("button", name="Filter by event type")).to_have_text(kind)
        expect(self.main.get_by_role("listitem").filter(has_text=kind.rstrip("*")).first).to_be_visible()

    def open_decision(self) -> None:
        """Open the form of the suspended run on the screen."""
        self.main.get_by_role("button", name="Open menu").first.click()
        self.page.get_by_role("menuitem", name="Resume").click()
        expect(self.dialog.get_by_role("button", name="Resume")).to_be_visible()

    def fill_decision(self, decision: str, *, why: str, by: str) -> None:
        """Fill the open form of a suspended run."""
        self.choose(self.dialog, "Decision", decision)
        self.fill(self.dialog, Why=why, By=by)

    def send_decision(self) -> None:
        self.dialog.get_by_role("button", name="Resume").click()

    def see(self, picture: Locator) -> None:
        """Wait until an image has been loaded and has a size."""
        picture.scroll_into_view_if_needed()
        self.page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=picture.element_handle())
