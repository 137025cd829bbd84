"""Secrets that a manifest refers to: where they are kept, and which are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lockgate.manifest.files import FileMissing, locate
from lockgate.manifest.place import Trace
from lockgate.manifest.schema import EnvSecret, FileSecret, Manifest, OpenAIModel


class SecretMissing(Exception):
    """A secret is not where it should be; names the variable or the file, never what is in it."""

    def __init__(self, code: str, message: str, advice: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.advice = advice


def references(manifest: Manifest) -> Iterator[tuple[Trace, EnvSecret | FileSecret]]:
    """List the secrets that the server needs, each with its place in the manifest."""
    if not isinstance(manifest.store, str):
        yield ("store",), manifest.store
    for name, model in manifest.models.items():
        if isinstance(model, OpenAIModel) and model.key is not None:
            yield ("models", name, "key"), model.key


def fetched(secret: EnvSecret | FileSecret, root: Path, environ: Mapping[str, str]) -> str:
    """Get a secret; a file's path starts from *root*.

    Raises:
        SecretMissing: It is not there.
    """
    if isinstance(secret, FileSecret):
        return _from_file(secret.file, root)
    value = environ.get(secret.env, "")
    if not value:
        message = f"the environment variable `{secret.env}` is not set"
        advice = f"set it where Lockgate runs: export {secret.env}=…"
        raise SecretMissing("LG1203", message, advice)
    return value


def _from_file(name: str, root: Path) -> str:
    try:
        text = locate(name, root).read_text(encoding="utf-8").rstrip("\r\n")
    except (FileMissing, OSError, UnicodeDecodeError) as error:
        message = f"the secret's file `{name}` cannot be read"
        raise SecretMissing("LG1204", message, "put the secret there, readable by Lockgate") from (
            error
        )
    if not text:
        raise SecretMissing("LG1204", f"the secret's file `{name}` is empty", "put it there")
    return text
