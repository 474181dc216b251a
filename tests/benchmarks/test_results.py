"""The results page: candidates that can be copied, rows that are kept, nothing left unsaid. Only iris is fitted, in milliseconds."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.results.__main__ import SEEDS, find_missing, main
from benchmarks.results.page import render_page
from benchmarks.results.picture import draw_results
from benchmarks.results.rows import FILE, Machine, Row, name_code, read_rows, write_rows
from benchmarks.results.subjects import FOLDER, NAMES, PROJECTS, Published, Subject, find_places, open_subject
from benchmarks.results.summary import Summary, student_interval, summarise
from infra.errors import KeepfitError
from tasks.contracts.evaluation import MetricValue
from tasks.project import load_project

SUBJECTS = [open_subject(name) for name in NAMES]
PLACES = find_places([], SUBJECTS)


def make_row(subject: Subject, candidate: str, seed: int, value: float = 0.87654, half: float = 0.01) -> Row:
    direction = "lower" if subject.file.metrics[0] == "rmse" else "higher"
    figure = MetricValue(
        metric=subject.file.metrics[0], value=value, low=value - half, high=value + half, n=100, direction=direction
    )
    return Row(
        project=subject.name,
        candidate=candidate,
        seed=seed,
        key=name_code(subject, candidate),
        data="rows",
        train_rows=400,
        test_rows=100,
        figures=(figure,),
        parameters=1_234,
        fit_seconds=2.0,
        machine=Machine(processor="quiet", cpu_count=2, threads=2, device="cpu", load=1.0),
        versions={},
        commit="abc",
        measured="2026-11-23 05:00",
    )


def rows_of(*rows: Row) -> dict[tuple[str, str, int], Row]:
    return {row.place: row for row in rows}


IMDB = next(subject for subject in SUBJECTS if subject.name == "imdb")


@pytest.mark.parametrize("subject", SUBJECTS, ids=NAMES)
def test_the_candidates_of_the_page_are_those_of_the_project_and_more_which_its_own_runs_do_not_fit(
    subject: Subject,
) -> None:
    own = load_project(PROJECTS, subject.name).spec
    assert {name: subject.spec.candidates[name] for name in own.candidates} == own.candidates
    assert set(subject.spec.candidates) == set(own.candidates) | set(subject.file.candidates)
    assert not set(own.candidates) & set(subject.file.candidates)


@pytest.mark.parametrize("name", [name for name in NAMES if open_subject(name).file.candidates])
def test_a_candidate_can_be_copied_into_the_project_as_it_stands(name: str, tmp_path: Path) -> None:
    copied = tmp_path / name
    copied.mkdir()
    for file in (PROJECTS / name).iterdir():
        if file.is_file():
            (copied / file.name).write_bytes(file.read_bytes())
    plain = yaml.safe_load((copied / "project.yaml").read_text(encoding="utf-8"))
    given_here = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["candidates"]
    plain["candidates"] |= given_here
    (copied / "project.yaml").write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    assert set(given_here) <= set(load_project(tmp_path, name).spec.candidates)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"candidates": {"one": {"network": {"architecture": {"name": "lstn"}}}}}, r"Did you mean 'lstm'"),
        ({"remarks": {"knn-4": "near"}}, r"there is no candidate 'knn-4'"),
        ({"metrics": ["accuracy"], "published": {"knn-3": "other metric"}}, r"expected accuracy, which is shown"),
    ],
    ids=["architecture", "candidate", "metric"],
)
def test_what_is_misspelt_in_a_file_of_the_page_is_refused(
    changed: dict[str, object], said: str, tmp_path: Path
) -> None:
    published = {"low": 1, "metric": "rmse", "by": "me", "source": "https://x", "chosen": "no", "terms": "none"}
    if "published" in changed:
        changed = {**changed, "published": {"knn-3": [published]}}
    (tmp_path / "iris.yaml").write_text(yaml.safe_dump({"about": "Flowers.", **changed}), encoding="utf-8")
    with pytest.raises(KeepfitError, match=said):
        open_subject("iris", tmp_path)


def test_what_only_names_and_is_not_there_is_refused_with_the_nearest() -> None:
    assert [name for _, name in find_places(["imdb/gru", "iris/knn-3", "imdb/gru"], SUBJECTS)] == ["gru", "knn-3"]
    with pytest.raises(KeepfitError, match=r"Did you mean 'imdb/lstm'"):
        find_places(["imdb/lstn"], SUBJECTS)


@given(st.sets(st.tuples(st.sampled_from(range(len(PLACES))), st.integers(0, SEEDS - 1))))
def test_each_row_is_on_the_page_once_and_what_is_missing_is_said(kept: set[tuple[int, int]]) -> None:
    rows = rows_of(*(make_row(*PLACES[place], seed) for place, seed in kept))
    page = render_page(SUBJECTS, rows, SEEDS)
    tables, rest = page.split("## What is missing")
    missing, fits = rest.split("## Every fit")
    for subject, candidate in PLACES:
        name, there = (
            f"{subject.name}/{candidate}",
            [row for row in rows.values() if row.place[:2] == (subject.name, candidate)],
        )
        assert [fits.count(f"| {name} | {seed} |") for seed in range(SEEDS)] == [
            int((subject.name, candidate, seed) in rows) for seed in range(SEEDS)
        ]
        assert (f"- {name}: {SEEDS - len(there)} of {SEEDS} seeds" in missing) == (len(there) < SEEDS)
        section = tables.split(f"## {subject.name}\n")[1].split("\n## ")[0]
        assert (f"| {candidate} | not measured |" in section) == (not there)
        assert section.count(f"| {len(there)} of {SEEDS} |") >= 1


def test_each_published_figure_is_counted_once_and_one_that_is_not_reached_has_its_reason() -> None:
    published = sum(len(figures) for subject in SUBJECTS for figures in subject.file.published.values())
    assert f"Of {published} published figures: {published} not measured." in render_page(SUBJECTS, {}, SEEDS)
    for subject in SUBJECTS:
        for summary in summarise(subject, read_rows(FILE)):
            figures = subject.file.published.get(summary.candidate, [])
            if any(summary.hold_against(one) == "not reached" for one in figures):
                assert subject.file.remarks.get(summary.candidate), f"{subject.name}/{summary.candidate}: why?"


def test_the_page_in_docs_is_what_the_rows_make() -> None:
    page = FILE.with_suffix(".md").read_text(encoding="utf-8")
    assert page == render_page(SUBJECTS, read_rows(FILE), SEEDS), "run: python -m benchmarks.results --page"


def test_a_row_of_the_candidate_as_it_was_before_is_marked() -> None:
    row = make_row(IMDB, "lstm", 0)
    assert "| lstm | " in render_page([IMDB], rows_of(row))
    earlier = row.model_copy(update={"key": "another"})
    assert "| lstm † | " in render_page([IMDB], rows_of(earlier))


def test_the_first_seed_of_everything_comes_before_the_second_of_any_and_what_is_there_is_left() -> None:
    places = find_places(["imdb/gru", "imdb/lstm"], SUBJECTS)
    there = rows_of(make_row(IMDB, "gru", 0), make_row(IMDB, "lstm", 1).model_copy(update={"key": "before"}))

    def missing(again: bool = False) -> list[tuple[str, int]]:
        return [(name, seed) for _, name, seed in find_missing(places, there, 2, again=again)]

    assert missing() == [("lstm", 0), ("gru", 1), ("lstm", 1)]
    assert missing(again=True) == [("gru", 0), ("lstm", 0), ("gru", 1), ("lstm", 1)]


@given(st.sets(st.sampled_from(range(len(PLACES)))))
def test_rows_that_are_written_are_read_again(tmp_path_factory: pytest.TempPathFactory, kept: set[int]) -> None:
    file = tmp_path_factory.mktemp("rows") / "results.json"
    rows = rows_of(*(make_row(*PLACES[place], 1) for place in kept))
    write_rows(rows, file)
    assert read_rows(file) == rows
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_what_was_measured_is_not_measured_again_and_other_rows_are_not_put_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    command = ["--only", "iris/knn-3", "--rows", str(file)]
    assert main([*command, "--seeds", "1"]) == 0
    [first] = json.loads(file.read_text())
    file.write_text(json.dumps([{**first, "parameters": 99}]))
    assert main([*command, "--seeds", "2"]) == 0
    kept, second = json.loads(file.read_text())
    assert (kept["parameters"], kept["seed"], second["seed"]) == (99, 0, 1)
    assert first["figures"] == second["figures"]
    assert "iris/knn-3 | 1 |" in (tmp_path / "results.md").read_text()
    assert main([*command, "--seeds", "1", "--again"]) == 0
    assert json.loads(file.read_text())[0]["parameters"] is None
    file.write_text(json.dumps([{**first, "data": "other rows"}]))
    assert main([*command, "--seeds", "2"]) == 2
    assert "its source gives others here" in capsys.readouterr().err


def test_the_list_says_what_there_is_and_fits_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--rows", str(tmp_path / "none.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{subject.name}/{name}" for subject, name in PLACES]
    assert all("not measured" in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_the_interval_over_seeds_is_students() -> None:
    assert student_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-5)
    assert student_interval([0.5]) is None
    assert student_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("direction", "figures", "said"),
    [
        ("higher", (0.90, 0.90), "passed"),
        ("higher", (0.86, 0.86), "not told apart"),
        ("higher", (0.60, 0.60), "not reached"),
        ("higher", (0.82, 0.90), "not told apart"),
        ("lower", (0.90, 0.90), "not reached"),
        ("lower", (0.60, 0.60), "passed"),
    ],
    ids=["above", "within", "below", "luck of seeds", "lower above", "lower below"],
)
def test_a_published_figure_is_passed_only_outside_of_both_intervals(
    direction: str, figures: tuple[float, float], said: str
) -> None:
    published = Published(low=0.84, high=0.86, by="me", source="https://x", chosen="no", terms="none")
    rows = [make_row(IMDB, "lstm", seed, value) for seed, value in enumerate(figures)]
    turned = [
        row.model_copy(
            update={"figures": tuple(one.model_copy(update={"direction": direction}) for one in row.figures)}
        )
        for row in rows
    ]
    assert Summary("lstm", tuple(turned)).hold_against(published) == said
    assert Summary("lstm", ()).hold_against(published) == "not measured"


def test_the_picture_is_drawn_from_no_rows_and_differs_with_them() -> None:
    empty = draw_results([(IMDB, summarise(IMDB, {}))])
    some = draw_results([(IMDB, summarise(IMDB, rows_of(make_row(IMDB, "lstm", 0), make_row(IMDB, "lstm", 1, 0.9))))])
    assert empty.startswith(b"\x89PNG")
    assert some != empty


def test_a_figure_is_of_another_candidate_once_its_own_code_or_keys_are_changed(tmp_path: Path) -> None:
    folder = tmp_path / "fashion"
    folder.mkdir()
    for name in ("data.py", "network.py", "project.yaml"):
        (folder / name).write_bytes((PROJECTS / "fashion" / name).read_bytes())
    fashion = next(subject for subject in SUBJECTS if subject.name == "fashion")

    def codes() -> list[str]:
        copy = replace(fashion, project=load_project(tmp_path, "fashion"))
        return [name_code(copy, name) for name in ("cnn", "dense")]

    cnn, dense = codes()
    (folder / "unused.py").write_text("x = 1\n")
    assert codes() == [cnn, dense]
    (folder / "network.py").write_text((folder / "network.py").read_text() + "\n# another\n")
    assert codes()[0] != cnn
    assert codes()[1] == dense
    fewer = fashion.spec.candidates | {"dense": fashion.spec.candidates["cnn-by-name"]}
    assert name_code(replace(fashion, spec=fashion.spec.model_copy(update={"candidates": fewer})), "dense") != dense
