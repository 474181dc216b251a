"""The page of a study: one HTML file that needs nothing beside itself. The diagnosis first, then the figures."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.contracts.study_report import CandidateStudy


def render_page(report: CandidateStudy, pictures: Mapping[str, bytes]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    pictures
        PNG bytes by title: they are put into the page.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.4g}"
    shown = {title: f"data:image/png;base64,{base64.b64encode(data).decode()}" for title, data in pictures.items()}
    return environment.get_template("page.html").render(
        report=report, pictures=shown, written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    )
