"""The plain script's functions, each a Prefect task, in a Prefect flow: what the orchestrator alone costs."""

import sys
from pathlib import Path

from prefect import flow, task

from benchmarks.overhead import plain


@flow(name="bare-iris")
def run(folder: str) -> None:
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    frame = task(plain.read)()
    task(plain.validate)(frame)
    train, test = task(plain.split)(frame)
    model, scores = task(plain.select_and_fit)(train)
    figures = task(plain.evaluate)(model, test)
    task(plain.draw)(model, test, figures, scores, place)
    task(plain.save)(model, frame, place)


if __name__ == "__main__":
    run(sys.argv[1])
