"""The results page by one command: fit the projects' candidates for several seeds, then write docs/results.md.

  python -m benchmarks.results --list                what there is, and which of it is measured
  python -m benchmarks.results --only imdb/lstm      one candidate, all seeds; may be given several times
  python -m benchmarks.results --seeds 1             everything once; later without it for the rest
  python -m benchmarks.results --page                no fit: the page of the rows that are there

Everything takes hours on a CPU. Each fit is kept in docs/results.json as soon as it is judged, the first seed of every
candidate before the second of any: end it whenever you like (Ctrl-C, kill -9), and the same command goes on. A fit is made
anew only where its candidate, its project's columns, split or Python have changed, or with --again. Candidates stand
in benchmarks/results/NAME.yaml, in the form of project.yaml, over those of projects/NAME/project.yaml.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from benchmarks.results.rows import FILE, Rows, name_code, read_rows, write_rows
from benchmarks.results.subjects import NAMES, Subject, find_places, open_subject
from infra.errors import KeepfitError, UsageError

SEEDS = 3


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing, write the page and return the exit code."""
    chosen = _read_arguments(arguments)
    try:
        return _work(chosen)
    except KeepfitError as error:
        print(f"{error.message} {error.remedy}".strip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Ended; what was measured is kept.", file=sys.stderr)
        return 130


def _work(chosen: argparse.Namespace) -> int:
    subjects = [open_subject(name) for name in NAMES]
    places = find_places(chosen.only, subjects)
    rows = read_rows(chosen.rows)
    if chosen.list:
        print(list_places(places, rows))
        return 0
    if not chosen.page:
        rows = measure_missing(places, rows, chosen)
    from benchmarks.results.page import write_page

    write_page(subjects, rows, chosen.rows, SEEDS)
    return 0


def _read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PROJECT[/CANDIDATE]",
        help="only this; may be given several times",
    )
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, choices=range(1, 11), metavar="N", help="seeds 0 to N-1 (3)"
    )
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    parser.add_argument("--list", action="store_true", help="show candidates with what is measured; fit nothing")
    parser.add_argument("--page", action="store_true", help="write the page from the rows that are there; fit nothing")
    parser.add_argument("--rows", type=Path, default=FILE, help="file of the rows; the page is beside it")
    return parser.parse_args(arguments)


def list_places(places: list[tuple[Subject, str]], rows: Rows) -> str:
    """Return a line for each candidate: which seeds are measured."""
    from benchmarks.results.measurement import find_obstacle

    lines = []
    for subject, name in places:
        done = [str(seed) for project, one, seed in sorted(rows) if (project, one) == (subject.name, name)]
        old = [seed for seed in done if rows[subject.name, name, int(seed)].key != name_code(subject, name)]
        told = f"seeds {', '.join(done)}" if done else "not measured"
        told += f"; of an earlier candidate: {', '.join(old)}" if old else ""
        obstacle = find_obstacle(subject, name)
        lines.append(f"{subject.name + '/' + name:<32} {told}{'; ' + obstacle if obstacle else ''}")
    return "\n".join(lines)


def find_missing(
    places: list[tuple[Subject, str]], rows: Rows, seeds: int, *, again: bool = False
) -> list[tuple[Subject, str, int]]:
    """Return what is to be fitted: the first seed of everything, then the second, and so on."""
    wanted = [(subject, name, seed) for seed in range(seeds) for subject, name in places]
    return [
        (subject, name, seed)
        for subject, name, seed in wanted
        if again
        or (subject.name, name, seed) not in rows
        or rows[subject.name, name, seed].key != name_code(subject, name)
    ]


def measure_missing(places: list[tuple[Subject, str]], rows: Rows, chosen: argparse.Namespace) -> Rows:
    """Return the rows with those that were missing, each written to the file as soon as it is there."""
    from benchmarks.results.measurement import Parts, find_obstacle, measure, name_commit

    name_commit()  # before hours in which the checkout may move on
    parts: dict[str, Parts] = {}
    for subject, name, seed in find_missing(places, rows, chosen.seeds, again=chosen.again):
        if obstacle := find_obstacle(subject, name):
            print(f"{subject.name}/{name}, seed {seed}: left out, {obstacle}", flush=True)
            continue
        if subject.name not in parts:
            parts[subject.name] = Parts.of(subject)
            _require_same_rows(subject, parts[subject.name].digest, rows)
        row = measure(subject, name, seed, parts[subject.name])
        rows = {**read_rows(chosen.rows), row.place: row}
        write_rows(rows, chosen.rows)
        figure = row.figures[0]
        told = f"{figure.metric} {figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"
        print(f"{subject.name}/{name}, seed {seed}: {told}, {row.fit_seconds:.0f} s", flush=True)
    return rows


def _require_same_rows(subject: Subject, digest: str, rows: Rows) -> None:
    """Refuse to put figures on other rows beside those that are there."""
    others = [row for row in rows.values() if row.project == subject.name and row.data != digest]
    if others:
        raise UsageError(
            f"{subject.name}: expected the {others[0].train_rows:,} training and {others[0].test_rows:,} test rows of its "
            f"{len(others)} figures; its source gives others here ({digest} instead of {others[0].data}).",
            remedy="Give another file with --rows, or take its rows out of this one: their mean would be of nothing.",
        )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.disable(logging.WARNING)
    sys.exit(main())
