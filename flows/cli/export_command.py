"""The command that hands a model to other programs."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import AsJson


def export(
    version: Annotated[
        str, typer.Argument(metavar="PROJECT[@VERSION]", help="A version, or a project's champion.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the ONNX file.", show_default=False)],
    int8: Annotated[bool, typer.Option("--int8", help="The file with 8-bit weights (export.int8).")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a version as ONNX, checked against the model: the file made with it (export: {onnx: true}), or one made now."""
    from flows.cli.exporting import export_version

    export_version(version, output, int8=int8, as_json=as_json)
