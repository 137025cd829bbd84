"""What was shipped, and the card that says so."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lockgate.core.errors import LockgateError
from lockgate.manifest.draft import Part

EXAMPLE = "examples/{name}.json"


class NotShipped(LockgateError):
    """What was given cannot be made a service; says why and what to do."""

    code = "not_shipped"


@dataclass(frozen=True, slots=True)
class Package:
    """A model ready to be written down: its part of the manifest, and its files.

    Attributes:
        files: Content by path, from the manifest's folder.
        notes: What the user should know about it.
    """

    kind: Literal["chat", "predict"]
    model: Mapping[str, Any]
    service: Mapping[str, Any]
    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()

    def part(self, name: str, model: Mapping[str, Any]) -> Part:
        """Give the entries of the manifest, *model* in place of this one's."""
        return Part(name, model, {"kind": self.kind, "targets": [name], **self.service})


@dataclass(frozen=True, slots=True)
class Shipped:
    """What `ship` wrote.

    Attributes:
        files: Everything written, the manifest first.
        notes: What was found out about the model.
    """

    name: str
    directory: Path
    manifest: Path
    files: tuple[Path, ...]
    kind: Literal["chat", "predict"] = "predict"
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where the service answers, below the server's address."""
        return (
            "/v1/chat/completions" if self.kind == "chat" else f"/v1/services/{self.name}/predict"
        )

    @property
    def curl(self) -> str:
        """A call to try once it is served."""
        example = self.directory / EXAMPLE.format(name=self.name)
        return (
            f"curl http://127.0.0.1:8470{self.path} -H 'content-type: application/json' "
            f'-H "authorization: Bearer $LOCKGATE_KEY" -d @{example}'
        )

    @property
    def next(self) -> str:
        """The commands that make a key, once, and serve it."""
        folder = "" if self.directory == Path() else f"cd {self.directory} && "
        return f"{folder}lockgate key create --tenant me && lockgate serve"

    def __repr__(self) -> str:
        lines = [f"{self.name} is ready in {self.directory}"]
        lines += [f"  wrote  {path}" for path in self.files]
        lines += [f"  note   {note}" for note in self.notes]
        lines += [f"  url    POST {self.path}", f"  try    {self.curl}", f"  next   {self.next}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        said = html.escape
        files = "".join(f"<li><code>{said(str(path))}</code></li>" for path in self.files)
        notes = "".join(f"<p>{said(note)}</p>" for note in self.notes)
        return (
            f"<section><h4>{said(self.name)} is ready</h4><ul>{files}</ul>{notes}"
            f"<p>Serve it: <code>{said(self.next)}</code></p>"
            f"<p>Answers at <code>POST {said(self.path)}</code></p>"
            f"<pre>{said(self.curl)}</pre></section>"
        )
