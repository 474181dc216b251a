"""Pictures in a column, as PNG or JPEG: looked at before they are decoded, decoded to one size, measured for monitoring.

A decoder is fed by whoever sends rows. So the header is read first: two formats, and no picture that would fill the memory.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

    from tasks.contracts.columns import ImageSize

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
U = TypeVar("U")

FORMATS = ("PNG", "JPEG")
MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000
"""A picture of 50 megapixels takes 150 MB while it is decoded."""

EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
"""Pillow's modes of at most eight bits a channel: sixteen would be cut off without a word."""

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in what the eye sees as brightness (ITU-R BT.601)."""

MEASURED = 64
"""Pixels of the longer side at which pictures are measured."""

THREADS, LARGE = 2, 10_000
SIDES = 2


def encode_png(pixels: Pixels) -> bytes:
    """Return the picture as PNG, the same bytes for the same pixels.

    Parameters
    ----------
    pixels
        Shape (height, width) or (height, width, 3), 0 to 255.
    """
    from PIL import Image  # noqa: PLC0415  only where there are pictures

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def find_readable(cells: Sequence[object]) -> Mask:
    """Return which of the cells are whole pictures that may be decoded, shape (n,)."""
    return np.array(_map(_is_readable, cells, cells), dtype=bool)


def decode_images(cells: Sequence[bytes], size: "ImageSize") -> Pixels:
    """Return the pictures scaled to one size, shape (n, height, width, channels).

    Turned as their EXIF orientation says; transparency is dropped; scaled with antialiasing where they are of another
    size, without keeping their proportions.

    Parameters
    ----------
    cells
        Pictures for which `find_readable` said yes.
    """
    found = np.empty((len(cells), size.height, size.width, size.channels), np.uint8)

    def put(place: int) -> None:
        pixels = np.asarray(_open(cells[place], "L" if size.channels == 1 else "RGB", (size.width, size.height)))
        found[place] = pixels.reshape(found.shape[1:])

    _map(put, range(len(cells)), cells)
    return found


def measure_images(cells: Sequence[bytes | None]) -> Floats:
    """Return brightness, contrast and detail of each picture, shape (n, 3); NaN for a missing one.

    Brightness is the mean of the luma (0 to 1), contrast its standard deviation, detail the mean absolute difference of
    neighbouring pixels (blur and a lost focus lower it, noise raises it), at most 64 pixels wide or high.
    """
    return np.array(_map(_measure, cells, cells), dtype=np.float64).reshape(-1, 3)


def _map(function: Callable[[T], U], cells: Sequence[T], weighed: Sequence[object]) -> list[U]:
    """Apply the function to each cell; by two threads where pictures are so large that decoding is most of the work."""
    weight = sum(len(cell) for cell in weighed if isinstance(cell, bytes))
    if weight < LARGE * max(1, len(weighed)):
        return [function(cell) for cell in cells]
    with ThreadPoolExecutor(THREADS) as pool:  # Pillow decodes outside the interpreter's lock
        return list(pool.map(function, cells))


def _is_readable(cell: object) -> bool:
    if not isinstance(cell, bytes) or len(cell) > MOST_BYTES:
        return False
    from PIL import Image  # noqa: PLC0415  only where there are pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(cell), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS or image.mode not in EIGHT_BITS:
                    return False
                image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's words for a damaged file
        return False
    return True


def _open(cell: bytes, mode: str, size: tuple[int, int] | None = None) -> "Image":
    from PIL import Image, ImageOps  # noqa: PLC0415

    with Image.open(io.BytesIO(cell), formats=FORMATS) as image:
        turned = (ImageOps.exif_transpose(image) if image.format == "JPEG" else image).convert(mode)
    return turned if size is None or turned.size == size else turned.resize(size, Image.Resampling.BILINEAR)


def _measure(cell: bytes | None) -> tuple[float, float, float]:
    if cell is None:
        return (np.nan, np.nan, np.nan)
    image = _open(cell, "RGB")
    image.thumbnail((MEASURED, MEASURED))
    luma = np.asarray(image, dtype=np.float64) @ LUMA / 255
    steps = [np.abs(np.diff(luma, axis=axis)).mean() for axis in range(SIDES) if luma.shape[axis] > 1]
    return float(luma.mean()), float(luma.std()), float(np.mean(steps)) if steps else 0.0
