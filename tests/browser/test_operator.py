"""A day of an operator who has the Prefect UI and nothing else, on the real stack.

The tests stand in the order of that day: each goes on where the one before ended.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from infra.registry.registry import Registry, open_registry
from tests.browser.window import Window
from tests.servers.stack import Stack

pytestmark = [pytest.mark.servers, pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("stack")]

EXPLAINED = ("project", "as_of", "trigger", "Why", "Kind", "Window", "dry_run")
LOADED_AT_START = {"sr-client-cfg.amplitude.com"}
"""Prefect's UI asks there for settings of its statistics before it knows that they are switched off."""


@pytest.fixture(scope="module")
def registry(stack: Stack) -> Iterator[Registry]:
    with open_registry(stack.environment["KEEPFIT_DATABASE_URL"]) as registry:
        yield registry


def test_nobody_sees_more_than_the_login_without_the_password(stranger: Window) -> None:
    stranger.page.goto(f"{stranger.ui}/v2/deployments")
    expect(stranger.page.get_by_role("button", name="Login")).to_be_visible()
    expect(stranger.page.get_by_role("link")).to_have_count(0)
    stranger.try_line("operator:wrong")
    expect(stranger.page.get_by_text("Invalid credentials")).to_be_visible()
    expect(stranger.page.get_by_role("link")).to_have_count(0)
    stranger.keep_picture("login")


def test_the_form_explains_each_field_and_refuses_a_bad_value(window: Window, respecify: Callable[[int], None]) -> None:
    respecify(7)
    window.open_form("retrain", "penguins")
    for field in EXPLAINED:
        label = window.form.locator("label").filter(has_text=re.compile(rf"^{field}\b"))
        expect(label.locator("xpath=following-sibling::p")).to_have_text(re.compile(r"\w+ \w+"))
    expect(window.form.get_by_role("button", name="Select Kind")).to_have_text("operator")
    window.keep_picture("form", height=1300)
    window.fill(window.form, Why="too many words " * 40)
    window.submit()
    expect(window.notices.get_by_text("is too long")).to_be_visible()


def test_the_form_starts_a_run_whose_stages_are_seen_on_its_page(window: Window) -> None:
    window.fill(window.form, Why="a first version")
    window.submit_again()
    window.open_started_run()
    window.expect_state("Completed")
    window.open_tab("Task Runs")
    expect(window.main.get_by_text("10 Task runs")).to_be_visible()
    expect(window.main.get_by_text(re.compile(r"^train-"))).to_be_visible()


def test_the_page_of_a_run_shows_verdict_pictures_validation_and_report(
    window: Window, stack: Stack, respecify: Callable[[int], None]
) -> None:
    respecify(8)
    second = stack.keepfit("trigger", "penguins", "--reason", "a second version")  # goes on meanwhile
    assert second.returncode == 0, second.stderr
    run = window.page.url

    verdict = window.open_artifact("Verdict on penguins@1")
    expect(verdict.get_by_role("heading", name="PROMOTE: penguins@1")).to_be_visible()
    checks = verdict.get_by_role("row").filter(has_text="better than the dummy")
    expect(checks.get_by_role("cell")).to_have_count(7)
    expect(checks).to_have_text(re.compile(r"✓.*0\.\d{4}"))
    window.keep_picture("verdict")
    for title in ("Confusion matrix", "Metrics", "ROC curve"):
        window.see(verdict.get_by_role("img", name=title))
    window.keep_picture("pictures")

    window.page.goto(run)
    validation = window.open_artifact("Validation accepted")
    expect(window.main.get_by_text("342 of 344 rows go on, 2 are set aside").first).to_be_visible()
    expect(validation.get_by_role("row").filter(has_text="body_mass_g").first).to_be_visible()
    window.keep_picture("validation")

    window.page.goto(run)
    report = window.open_artifact("everything about penguins@1")
    report.get_by_role("link", name="The page of penguins@1", exact=True).click()
    expect(window.page.get_by_role("heading", name="penguins@1").first).to_be_visible()
    expect(window.page.get_by_text("better than the dummy").first).to_be_visible()
    window.see(window.page.get_by_role("img").first)
    window.keep_picture("report")


def test_a_waiting_release_shows_its_evidence_and_a_refusal_releases_nothing(
    window: Window, registry: Registry
) -> None:
    window.page.goto(window.ui)
    window.open_run("penguins@1: approval")
    window.expect_state("Suspended")
    window.open_decision()
    expect(window.dialog.get_by_text("better than the dummy").first).to_be_visible()
    expect(window.dialog).to_contain_text(re.compile(r"balanced_accuracy.*0\.\d{4}"))
    window.fill_decision("refuse", why=" ", by="Ada")
    window.send_decision()
    expect(window.notices.get_by_text("Validation failed for field 'why'")).to_be_visible()
    window.fill(window.dialog, Why="the test rows are too few")
    window.send_decision()
    window.expect_state("Refused")
    assert registry.champion("penguins").version is None


def test_an_approved_release_becomes_the_champion(window: Window, registry: Registry) -> None:
    window.open_run("penguins@2: approval")
    window.expect_state("Suspended")
    window.open_decision()
    window.fill_decision("approve", why="better on every count", by="Ada")
    window.keep_picture("approval", height=1250)
    window.send_decision()
    window.expect_state("Approved")
    window.keep_picture("approved")
    assert registry.champion("penguins").version == 2


def test_the_form_of_promote_refuses_what_is_no_version_and_moves_the_champion(
    window: Window, registry: Registry
) -> None:
    window.open_form("promote", "by-hand")
    window.fill(window.form, version="penguins1", why="to compare in use", by="Grace")
    window.submit()
    expect(window.form.get_by_text("does not match")).to_be_visible()
    window.fill(window.form, version="penguins@1")
    window.submit_again()
    window.open_started_run()
    window.expect_state("Completed")
    assert registry.champion("penguins").version == 1


def test_the_form_of_rollback_takes_the_champion_back_and_the_page_says_who_did_what(
    window: Window, registry: Registry
) -> None:
    window.open_form("rollback", "by-hand")
    window.choose(window.form, "project", "penguins")
    window.fill(window.form, why="the comparison is over", by="Grace")
    window.submit()
    window.open_started_run()
    window.expect_state("Completed")
    assert registry.champion("penguins").version == 2
    history = window.open_history("penguins-history")
    for who, what, why in (
        ("Grace", "rollback penguins@2", "the comparison is over"),
        ("Grace", "promote penguins@1", "to compare in use"),
        ("Ada", "promote penguins@2", "better on every count"),
        ("Ada", "refuse penguins@1", "the test rows are too few"),
    ):
        row = history.get_by_role("row").filter(has_text=who).filter(has_text=what).filter(has_text=why)
        expect(row).to_have_count(1)
    window.keep_picture("history")


def test_the_browser_asked_nobody_else_but_for_the_settings_of_statistics(window: Window) -> None:
    assert window.asked_elsewhere <= LOADED_AT_START
