"""`lockgate init`: write a first manifest, from nothing or from a prototype."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lockgate.manifest.load import load
from lockgate.manifest.marked import NoPrototype
from lockgate.manifest.prototype import MANIFEST, Begun, begin

USAGE = 2


def init(
    *,
    source: Annotated[str | None, Parameter(name="--from")] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write a first lockgate.yaml in this folder, for a prototype or as an example.

    Example: `lockgate init --from notebook.ipynb`

    Args:
        source: The prototype: FILE.py or FILE.py:FUNCTION, a .skops or .onnx model, a .txt or .md
            prompt, or an .ipynb notebook with a cell marked `# lockgate: predict`.
        force: Write over files that exist.
    """
    folder = Path()
    try:
        begun = begin(source, folder)
        _write(begun, folder, force=force)
    except NoPrototype as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr)
        return USAGE
    for note in begun.notes:
        print(f"note: {note}")
    load(folder / MANIFEST, environ=os.environ)
    print("next: lockgate check · lockgate key create --tenant me · lockgate serve")
    return 0


def _write(begun: Begun, folder: Path, *, force: bool) -> None:
    there = [name for name in begun.files if (folder / name).exists()]
    if there and not force:
        raise NoPrototype(f"{', '.join(there)} exists; --force writes over it")
    for name, text in begun.files.items():
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise NoPrototype(f"{name} cannot be written: {error.strerror}") from error
        print(f"wrote {name}")
