"""A manifest from its file to its types: everything that is wrong with it is said at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lockgate.core.errors import ManifestError
from lockgate.manifest import secrets
from lockgate.manifest.check import cross_check
from lockgate.manifest.files import FileMissing, locate
from lockgate.manifest.findings import Finding, Source, in_order, meant, rendered
from lockgate.manifest.form import validate
from lockgate.manifest.kept import SecretMissing, fetched, references
from lockgate.manifest.place import TOP, Node, overlaid
from lockgate.manifest.read import read, span_at
from lockgate.manifest.schema import EnvSecret, FileSecret, Manifest

_IN_MEMORY = ("", ":memory:")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest that is right, and what it needs from around it.

    Attributes:
        root: The folder that its relative paths start from: its own.
        environment: The overlay that was merged in, if any.
    """

    manifest: Manifest
    path: Path
    root: Path
    environment: str | None
    environ: Mapping[str, str] = field(repr=False)

    def file(self, reference: str) -> Path:
        """Find a file: a path from `root`, or `package:NAME/FILE` in an installed package.

        Raises:
            ManifestError: There is no such file.
        """
        try:
            return locate(reference, self.root)
        except FileMissing as error:
            raise self._error("LG1102", error.message, error.advice) from error

    def secret(self, secret: EnvSecret | FileSecret) -> str:
        """Get a secret from where it is kept.

        Raises:
            ManifestError: It is not there; names the variable or the file, never what is in it.
        """
        try:
            return fetched(secret, self.root, self.environ)
        except SecretMissing as error:
            raise self._error(error.code, error.message, error.advice) from error

    def store_url(self) -> str:
        """Give the database's URL; a relative SQLite path starts from `root`.

        Raises:
            ManifestError: It is a reference to something that is not there.
        """
        store = self.manifest.store
        url = store if isinstance(store, str) else self.secret(store)
        scheme, separator, rest = url.partition(":///")
        path, query, options = rest.partition("?")
        if not scheme.startswith("sqlite") or not separator or path in _IN_MEMORY:
            return url
        return f"{scheme}:///{self.root / path}{query}{options}"

    def _error(self, code: str, message: str, advice: str) -> ManifestError:
        return ManifestError((f"{self.path}: error[{code}]: {message}\n  help: {advice}",))


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was found out about a manifest.

    Attributes:
        loaded: The manifest, if no finding is an error.
        environments: Names of the overlays it declares.
        tree: The values with their places, overlay merged in, if the text could be read.
    """

    source: Source
    findings: tuple[Finding, ...]
    loaded: Loaded | None = None
    environments: tuple[str, ...] = ()
    tree: Node | None = None

    def unset(self) -> tuple[Finding, ...]:
        """Find the secrets that are not there, as warnings: they may be there where it is served.

        Empty for a manifest that cannot be served.
        """
        return () if self.loaded is None else tuple(_unset(self.loaded, self.tree))

    @property
    def errors(self) -> tuple[str, ...]:
        """The errors, rendered; warnings left out."""
        wrong = (finding for finding in self.findings if finding.severity == "error")
        return tuple(rendered(finding, self.source) for finding in wrong)


def _unset(loaded: Loaded, tree: Node | None) -> Iterator[Finding]:
    for trace, secret in references(loaded.manifest):
        try:
            fetched(secret, loaded.root, loaded.environ)
        except SecretMissing as error:
            at = TOP if tree is None else tree.nearest(trace).spot
            message = f"`{'.'.join(map(str, trace))}`: {error.message}"
            yield Finding(error.code, at, message, error.advice, "warning")


def load(path: Path, *, env: str | None = None, environ: Mapping[str, str]) -> Loaded:
    """Load the manifest at *path*, with the overlay of environment *env* if one is named.

    Raises:
        ManifestError: With everything that is wrong with it.
    """
    examination = examine(path, env=env, environ=environ)
    if examination.loaded is None:
        raise ManifestError(examination.errors)
    return examination.loaded


def examine(
    path: Path, *, env: str | None = None, environ: Mapping[str, str], deep: bool = False
) -> Examination:
    """Find out all about the manifest at *path*; never raises.

    With *deep*, model files are read whole to compare their digests.
    """
    text = _text(path)
    if isinstance(text, Finding):
        return Examination(Source(str(path), ""), (text,))
    reading = read(text)
    if reading.root is None:
        return _examined(path, text, reading.findings, secrets.Secrets())
    hidden = secrets.find(reading.root)
    tree, missing = _with_overlay(reading.root, env)
    form = validate(tree)
    root = path.parent.absolute()
    crossed = cross_check(tree, form, root, deep=deep)
    findings = (*reading.findings, *missing, *form.findings, *hidden.findings, *crossed)
    examination = _examined(path, text, findings, hidden)
    overlays = reading.root.find("environments")
    loaded = None
    if form.manifest is not None and not examination.errors:
        loaded = Loaded(form.manifest, path.absolute(), root, env, dict(environ))
    names = tuple(overlays.entries) if overlays is not None else ()
    return replace(examination, loaded=loaded, environments=names, tree=tree)


def _examined(
    path: Path, text: str, findings: tuple[Finding, ...], hidden: secrets.Secrets
) -> Examination:
    safe = [
        replace(f, message=hidden.masked(f.message), help=hidden.masked(f.help)) for f in findings
    ]
    return Examination(Source(str(path), hidden.blanked(text)), in_order(safe))


def _text(path: Path) -> str | Finding:
    """Read the file, or say why that cannot be done."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        advice = "`lockgate init` writes a first one; `lockgate check PATH` looks elsewhere"
        return Finding("LG1001", TOP, "there is no such file", advice)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Finding("LG1001", TOP, f"the file cannot be read: {reason}")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        at = span_at(raw[: error.start].decode("utf-8-sig", "replace"), error.start)
        message = f"byte 0x{raw[error.start]:02X} is not UTF-8"
        return Finding("LG1002", at, message, "save the file as UTF-8")


def _with_overlay(root: Node, env: str | None) -> tuple[Node, tuple[Finding, ...]]:
    """Merge the overlay of *env* over the rest, or say that there is none."""
    if env is None:
        return root, ()
    overlays = root.part("environments")
    names = overlays.entries if overlays is not None else {}
    over = names.get(env)
    if over is None:
        at = overlays.name if overlays is not None else TOP
        known = meant(env, names) or f"there are: {', '.join(names) or 'none'}"
        return root, (Finding("LG1105", at, f"there is no environment `{env}`", known),)
    return overlaid(root, replace(over, at=root.at, key=None)), ()
