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
    return np.array(_map(lambda cell: _load(cell) is not None, cells, cells), dtype=bool)


def decode_images(cells: Sequence[object], size: "ImageSize") -> tuple[Pixels, Mask]:
    """Return the pictures scaled to one size, shape (n, height, width, channels), and which could be read, shape (n,).

    Turned as their EXIF orientation says; transparency is dropped; scaled with antialiasing where they are of another
    size, without keeping their proportions. What `find_readable` says no to is black.
    """
    found = np.zeros((len(cells), size.height, size.width, size.channels), np.uint8)

    def put(place: int) -> bool:
        if (image := _load(cells[place])) is None:
            return False
        pixels = np.asarray(_shape(image, "L" if size.channels == 1 else "RGB", (size.width, size.height)))
        found[place] = pixels.reshape(found.shape[1:])
        return True

    return found, np.array(_map(put, range(len(cells)), cells), dtype=bool)


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


def _load(cell: object) -> "Image | None":
    """Return the picture, decoded; None where it may not or cannot be."""
    if not isinstance(cell, bytes) or len(cell) > MOST_BYTES:
        return None
    from PIL import Image  # noqa: PLC0415  only where there are pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = _open(cell)
            if image.width * image.height > MOST_PIXELS or image.mode not in EIGHT_BITS:
                return None
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's words for a damaged file
        return None
    return image


def _open(cell: bytes) -> "Image":
    from PIL import Image  # noqa: PLC0415

    return Image.open(io.BytesIO(cell), formats=FORMATS)


def _shape(image: "Image", mode: str, size: tuple[int, int] | None = None) -> "Image":
    from PIL import Image, ImageOps  # noqa: PLC0415

    turned = (ImageOps.exif_transpose(image) if image.format == "JPEG" else image).convert(mode)
    return turned if size is None or turned.size == size else turned.resize(size, Image.Resampling.BILINEAR)


def _measure(cell: bytes | None) -> tuple[float, float, float]:
    if cell is None:
        return (np.nan, np.nan, np.nan)
    image = _shape(_open(cell), "RGB")
    image.thumbnail((MEASURED, MEASURED))
    luma = np.asarray(image, dtype=np.float64) @ LUMA / 255
    steps = [np.abs(np.diff(luma, axis=axis)).mean() for axis in range(SIDES) if luma.shape[axis] > 1]
    return float(luma.mean()), float(luma.std()), float(np.mean(steps)) if steps else 0.0
