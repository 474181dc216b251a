"""What came of a version's export as ONNX, in words: for the terminal and the page alike."""

from collections.abc import Iterator

from tasks.contracts.export import OnnxExport


def describe_export(made: OnnxExport) -> Iterator[str]:
    """Yield what came of the export, in words."""
    if made.status != "exported":
        yield f"not exported: {made.reason}"
        return
    yield (
        f"{made.covers}, equal on {made.rows:,} rows (largest difference {made.largest_difference or 0:.1g}, tolerance "
        f"{made.tolerance:g})"
    )
    yield (
        f"{made.size_bytes or 0:,} bytes (keepfit's own file {made.model_size_bytes or 0:,}), "
        f"{made.latency_ms or 0:.3g} ms a row ({made.model_latency_ms or 0:.3g})"
    )
    yield f"takes {made.inputs}"
    for part in made.outside:
        yield f"outside the file: {part}"
    if made.reason:
        yield f"not taken: {made.reason}"
    if made.int8 is not None:
        yield _describe_int8(made)


def _describe_int8(made: OnnxExport) -> str:
    int8 = made.int8
    if int8 is None or int8.status != "kept":
        return f"int8 not kept: {int8.reason if int8 else 'not asked for'}"
    return (
        f"int8 {int8.size_bytes or 0:,} bytes, {int8.latency_ms or 0:.3g} ms a row, {int8.metric} {int8.after:.4g} "
        f"({int8.before:.4g} before)"
    )
