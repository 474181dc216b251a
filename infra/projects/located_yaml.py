"""YAML as plain data that knows the line of each part.

Read as YAML 1.2's core schema, as editors and JSON Schema do: `yes`, `no`, `on` and `12:30` are text, `1e-3` is a
number, a date is text. No tags, no merge keys, no repeated keys, and bounds on size, depth and what aliases add up to.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from infra.errors import SpecError

SIZE_LIMIT_BYTES = 256 * 1024
DEPTH_LIMIT = 40
NODE_LIMIT = 20_000

Key = str | int
Where = tuple[Key, ...]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class LocatedYaml:
    """A mapping read from a file, and on which line each of its parts begins."""

    path: Path
    data: dict[str, Any]
    lines: dict[Where, int]

    def line_of(self, where: Where) -> int:
        """Return the line (from 1) of the part at `where`, or of the nearest part around it that is there."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def read_yaml(path: Path) -> LocatedYaml:
    """Return the mapping in this file.

    Raises
    ------
    SpecError
        It cannot be read, is too large, is not UTF-8, is no YAML, repeats a key, or is no mapping; with the line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror or error}.") from error
    if len(raw) > SIZE_LIMIT_BYTES:
        raise SpecError(f"{path}: larger than {SIZE_LIMIT_BYTES // 1024} KiB.", remedy="Keep data out of it.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{path}:{line}: expected UTF-8 text, received byte 0x{raw[error.start]:02x}.") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> LocatedYaml:
    """Return the mapping in this text; `path` is what errors name."""
    reader = _Reader(path)
    try:
        reader.read(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        raise SpecError(f"{path}{_explain(error, text)}", remedy="Mind the indentation, and quote odd text.") from error
    if not isinstance(reader.data, dict):
        raise SpecError(f"{path}: expected keys and values, received {reader.data!r:.60}.")
    return LocatedYaml(path, reader.data, reader.lines)


def _explain(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    position = getattr(error, "position", None)
    line = mark.line + 1 if mark is not None else text.count("\n", 0, position) + 1 if position is not None else 1
    return f":{line}: no valid YAML: {problem}."


@dataclass
class _Part:
    """A value, the lines inside it relative to itself, and how many nodes it is when written out."""

    value: Any
    lines: dict[Where, int]
    nodes: int = 1


@dataclass
class _Reader:
    """Builds data from the parser's events, so that nothing is expanded before it is counted."""

    path: Path
    data: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    anchors: dict[str, _Part] = field(default_factory=dict)
    documents: int = 0

    def read(self, events: Iterator[yaml.Event]) -> None:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self._refuse(event, "expected one document, received a second one after ---")
            elif isinstance(event, yaml.NodeEvent):
                part = self._build(event, events, depth=1)
                self.data, self.lines = part.value, {(): 1, **part.lines}

    def _build(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> _Part:
        if depth > DEPTH_LIMIT:
            raise self._refuse(event, f"nested deeper than {DEPTH_LIMIT} levels")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self._refuse(event, f"no anchor &{event.anchor} stands before this alias")
            return self.anchors[event.anchor]
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise self._refuse(event, f"expected plain values, received the tag {tag!r:.60}")
        if isinstance(event, yaml.ScalarEvent):
            part = _Part(_resolve(event), {})
        elif isinstance(event, yaml.SequenceStartEvent):
            part = self._build_list(events, depth)
        else:
            part = self._build_mapping(events, depth)
        if part.nodes > NODE_LIMIT:
            raise self._refuse(event, f"more than {NODE_LIMIT} values, aliases written out")
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = part
        return part

    def _build_list(self, events: Iterator[yaml.Event], depth: int) -> _Part:
        whole = _Part([], {})
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            self._add(whole, len(whole.value), event, self._build(event, events, depth + 1))
        return whole

    def _build_mapping(self, events: Iterator[yaml.Event], depth: int) -> _Part:
        whole = _Part({}, {})
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._read_key(event)
            if key in whole.value:
                raise self._refuse(
                    event, f"the key {key!r} stands here a second time, first on line {whole.lines[(key,)]}"
                )
            whole.value[key] = None
            self._add(whole, key, event, self._build(next(events), events, depth + 1))
        return whole

    def _read_key(self, event: yaml.Event) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(event, "expected a name as key")
        if event.value == "<<" and not event.style:
            raise self._refuse(event, "merge keys (<<) are not read: use an alias for a whole value")
        return str(event.value)

    def _add(self, whole: _Part, key: Key, event: yaml.Event, part: _Part) -> None:
        whole.nodes += part.nodes
        if whole.nodes > NODE_LIMIT:
            raise self._refuse(event, f"more than {NODE_LIMIT} values, aliases written out")
        if isinstance(whole.value, list):
            whole.value.append(part.value)
        else:
            whole.value[key] = part.value
        whole.lines[(key,)] = _line(event)
        whole.lines.update({(key, *inner): line for inner, line in part.lines.items()})

    def _refuse(self, event: yaml.Event, problem: str) -> SpecError:
        return SpecError(f"{self.path}:{_line(event)}: {problem}.")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _resolve(event: yaml.ScalarEvent) -> str | int | float | bool | None:
    text = str(event.value)
    if event.style or event.tag == "!":
        return text
    if _NULL.fullmatch(text):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
