"""`lockgate schema`: the JSON Schema of the manifest, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lockgate.manifest.editor import json_schema

WHERE = Path(".lockgate/schema.json")


def schema(*, write: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print the JSON Schema of lockgate.yaml, from which editors complete and check.

    Example: `lockgate schema --write`

    Args:
        write: Write it to .lockgate/schema.json rather than to stdout.
    """
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if not write:
        print(text, end="")
        return 0
    WHERE.parent.mkdir(exist_ok=True)
    WHERE.write_text(text, encoding="utf-8")
    print(f"wrote {WHERE}; begin lockgate.yaml with this line:")
    print(f"# yaml-language-server: $schema={WHERE}")
    return 0
