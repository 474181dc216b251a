"""The page of a version: one HTML file that needs nothing beside itself. The verdict first, then the evidence."""

import base64
import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.evaluation import Verdict
from tasks.contracts.project import ProjectSpec
from tasks.contracts.release import Manifest
from tasks.release.exports import describe_export

MARKS = {"pass": "✓", "inconclusive": "?", "fail": "✗"}


def render_report(
    label: str, spec: ProjectSpec, manifest: Manifest, verdict: Verdict, *, read: Callable[[ArtifactRef], bytes]
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    label
        The version, e.g. iris@7.
    read
        Gives the bytes of a blob: the pictures are put into the page.
    """
    pictures = {
        title: f"data:image/png;base64,{base64.b64encode(read(picture)).decode()}"
        for title, picture in manifest.evaluation.pictures.items()
    }
    return _template().render(
        label=label,
        spec=spec,
        manifest=manifest,
        verdict=verdict,
        pictures=pictures,
        marks=MARKS,
        export=list(describe_export(manifest.fit.export)) if manifest.fit.export else [],
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.4g}"
    environment.filters["value"] = lambda value: f"{value:.4g}" if isinstance(value, float) else str(value)
    environment.filters["share"] = lambda value: "–" if math.isnan(value) else f"{value:.3f}"
    return environment.get_template("report.html")
