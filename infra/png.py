"""A drawn figure as the bytes of a PNG file."""

import io
from typing import Any


def as_png(figure: Any) -> bytes:
    """Return the figure of matplotlib as PNG bytes, at its own dots per inch; the same numbers give the same bytes."""
    # Laid out and drawn once: `savefig` would do both twice.
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    buffer = io.BytesIO()
    # No date and no version in the file.
    figure.canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
