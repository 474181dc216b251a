"""The loop in the Prefect UI: from the run that watched March to what drifted, the event feed and the release.

The tests stand in the order of that walk: each goes on where the one before ended.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.window import Window
from tests.servers.loop import WINDOW, Loop

pytestmark = [pytest.mark.servers, pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("stack")]


def test_the_page_of_a_watched_window_shows_verdict_plots_and_every_column(loop: Loop, window: Window) -> None:
    window.open_run(f"monitor flights {WINDOW}")
    window.expect_state("Completed")
    page = window.open_history("flights-monitoring")
    expect(page.get_by_role("heading", name=f"RETRAIN: flights/{WINDOW}")).to_be_visible()
    window.keep_picture("monitoring", height=1500)
    window.see(page.get_by_role("img", name="What drifted"))
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_have_text(re.compile(r"▲.*KS distance"))
    expect(rows.filter(has_text="carrier")).to_have_count(1)


def test_the_link_to_the_distributions_opens_evidently_s_report(window: Window) -> None:
    window.open_run(f"monitor flights {WINDOW}")
    report = window.open_artifact("Distributions")
    report.get_by_role("link", name=f"The distributions of flights/{WINDOW}", exact=True).click()
    expect(window.page.get_by_text("keepfit's decision rests on all rows")).to_be_visible()
    expect(window.page.get_by_text("Dataset Drift").first).to_be_visible()


def test_the_event_feed_tells_of_window_wish_and_release_and_leads_to_their_runs(window: Window) -> None:
    window.page.goto(window.ui)
    window.open_feed("keepfit.*", "flights@2 is the champion")
    feed = window.main.get_by_role("listitem").filter(has_text="keepfit.")
    window.keep_picture("feed", height=1600)
    for event, what, run in (
        ("keepfit.window.retrain", f"flights/{WINDOW}: RETRAIN", f"monitor flights {WINDOW}"),
        ("keepfit.retraining.wanted", "flights", f"monitor flights {WINDOW}"),
        ("keepfit.release.promoted", "flights@2 is the champion", "flights: drift"),
    ):
        told = feed.filter(has_text=event).filter(has_text=what).first
        expect(told.get_by_role("link", name=f"Flow run {run}")).to_be_visible()
    told.get_by_role("link", name="Flow run flights: drift").click()
    window.expect_state("Completed")
    verdict = window.open_artifact("Verdict on flights@2")
    expect(verdict.get_by_role("heading", name="PROMOTE: flights@2")).to_be_visible()
