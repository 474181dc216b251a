"""Pictures: what is decoded, to what, and what is never opened."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.contracts.columns import ImageSize
from tasks.images import LARGE, decode_images, encode_png, find_readable, measure_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 7), np.uint8)
COLOURED = RNG.integers(0, 256, (9, 7, 3), np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def huge() -> bytes:
    """A PNG of a few bytes that says of itself that it has 3.6 gigapixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_a_picture_of_the_asked_size_comes_back_pixel_by_pixel(height, width, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    cell = encode_png(pixels[..., 0] if channels == 1 else pixels)
    assert find_readable([cell]).all()
    size = ImageSize(height=height, width=width, channels=channels)
    assert np.array_equal(decode_images([cell], size)[0], pixels[None])


def test_the_same_pixels_are_the_same_bytes():
    assert encode_png(GREY) == encode_png(GREY.copy())


def test_other_sizes_are_scaled_and_colours_become_shades():
    flat = np.full((40, 20, 3), (200, 100, 50), np.uint8)
    read, _ = decode_images([encode_png(flat)], ImageSize(height=5, width=8, channels=1))
    assert read.shape == (1, 5, 8, 1)
    assert set(read.ravel().tolist()) == {round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)}


def test_a_photograph_is_turned_as_its_camera_says():
    wide = Image.new("RGB", (20, 10))
    wide.paste((255, 255, 255), (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    [turned], _ = decode_images([saved(wide, "JPEG", exif=exif)], ImageSize(height=20, width=10, channels=1))
    assert turned[:8].min() > 200 > 50 > turned[12:].max()


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not a picture", id="text"),
        pytest.param("a word", id="no bytes"),
        pytest.param(None, id="missing"),
        pytest.param(encode_png(COLOURED)[:60], id="cut off"),
        pytest.param(saved(Image.fromarray(COLOURED), "JPEG")[:300], id="cut off JPEG"),
        pytest.param(saved(Image.fromarray(COLOURED), "GIF"), id="another format"),
        pytest.param(saved(Image.fromarray(COLOURED), "TIFF"), id="a format with many faults"),
        pytest.param(saved(Image.fromarray(np.full((4, 4), 40_000, np.uint16)), "PNG"), id="sixteen bits"),
        pytest.param(huge(), id="more pixels than memory"),
    ],
)
def test_what_is_no_whole_picture_of_a_known_kind_is_not_readable(cell):
    assert find_readable([encode_png(GREY), cell]).tolist() == [True, False]
    pixels, readable = decode_images([cell, encode_png(GREY)], ImageSize(height=4, width=4, channels=1))
    assert readable.tolist() == [False, True]
    assert (pixels[0].max(), pixels[1].max() > 0) == (0, True)


@pytest.mark.parametrize("large", [False, True])
def test_many_pictures_keep_their_order(large):
    side = 150 if large else 4
    cells = [encode_png(RNG.integers(at, at + 2, (side, side, 3), np.uint8)) for at in range(0, 250, 10)]
    cells = [cell + bytes(LARGE) if large else cell for cell in cells]
    read, _ = decode_images(cells, ImageSize(height=2, width=2, channels=1))
    assert (np.diff(read[:, 0, 0, 0].astype(int)) > 5).all()


def test_light_contrast_and_detail_are_measured():
    black, white = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    halves, chess = black.copy(), black.copy()
    halves[:, 4:] = 255
    chess[::2, ::2] = chess[1::2, 1::2] = 255
    measured = measure_images([encode_png(each) for each in (black, white, halves, chess)])
    assert np.allclose(measured, [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 1 / 14], [0.5, 0.5, 1.0]])
    assert np.isnan(measure_images([None])).all()
    assert measure_images([]).shape == (0, 3)
