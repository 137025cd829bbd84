"""Take the README's picture: a real run of the demo, drawn as its terminal would show it.

python -m scripts.picture     (or: make picture)
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lockgate.demo.play import Play
from scripts.tree import ROOT

PICTURE = ROOT / "docs" / "pictures" / "demo.svg"

_REMOTE_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # a picture asks nobody for a font


def main() -> int:
    """Play the demo for 30 seconds and save what it shows at the end."""
    console = Console(record=True, width=104, force_terminal=False)
    console.print(Text("$ lockgate demo", style="bold"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        play = Play(Path("lockgate-demo"), port=8470, seconds=30.0, console=console)
        code = asyncio.run(play.run(end=True))
    PICTURE.parent.mkdir(exist_ok=True)
    drawn = console.export_svg(title="lockgate demo")
    ours = drawn.replace(f"{Path(sys.executable).parent}/", "")  # as with .venv/bin on PATH
    PICTURE.write_text(_REMOTE_FONT.sub("", ours))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
