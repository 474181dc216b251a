"""Metrics per epoch in the form that TensorBoard reads, without TensorBoard and without TensorFlow.

An event file is a chain of records, each its length, a checksum of that, its bytes and a checksum of those (TensorFlow,
`core/lib/io/record_writer.h`); the bytes are a protocol buffer, `Event` of `core/util/event.proto`, which needs few lines here.
No time of day stands in it, so that the same training gives the same file and digest: an event's time is its epoch.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

FILE_NAME = "events.out.tfevents.0.keepfit"
"""TensorBoard knows event files by `tfevents` in their name."""

_KINDS = {"val": "watched", "refit": "all_rows"}
_CASTAGNOLI = 0x82F63B78
_MASK = 0xA282EAD8
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
"""Wire types of protocol buffers."""


def write_events(history: Mapping[str, Sequence[float]]) -> bytes:
    """Return the event file of one training.

    Parameters
    ----------
    history
        metric: value per epoch. `val_loss` is charted as loss/watched, `refit_loss` as loss/all_rows, `loss` as loss/training.
    """
    version = _field(1, _DOUBLE, struct.pack("<d", 0.0)) + _field(3, _BYTES, b"brain.Event:2")
    return b"".join([_record(version), *(_record(event) for event in _list_events(history))])


def _list_events(history: Mapping[str, Sequence[float]]) -> Iterator[bytes]:
    for name in sorted(history):
        kind, _, metric = name.partition("_")
        tag = f"{metric}/{_KINDS[kind]}" if kind in _KINDS else f"{name}/training"
        for epoch, value in enumerate(history[name], start=1):
            scalar = _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, struct.pack("<f", value))
            when = _field(1, _DOUBLE, struct.pack("<d", float(epoch))) + _field(2, _VARINT, _varint(epoch))
            yield when + _field(5, _BYTES, _field(1, _BYTES, scalar))


def _field(number: int, wire_type: int, content: bytes) -> bytes:
    length = _varint(len(content)) if wire_type == _BYTES else b""
    return _varint(number << 3 | wire_type) + length + content


def _varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first.

    >>> _varint(300).hex()
    'ac02'
    """
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """Return the masked CRC-32C, ((c >> 15) | (c << 17)) + 0xa282ead8 (`core/lib/hash/crc32c.h`)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF)
