"""Names that lead to models, and paths that lead to files: do they?

Works on the tree, so that a manifest whose form is wrong elsewhere still learns of these.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lockgate.manifest.files import FileMissing, locate, module_known
from lockgate.manifest.findings import Finding, meant
from lockgate.manifest.place import Node

_CHUNK = 1 << 20


def names(root: Node) -> Iterator[Finding]:
    """Find names of models that do not exist, and models that nobody names."""
    models = root.find("models")
    if models is None or not models.entries:
        return
    used: set[str] = set()
    for name in _named(root):
        used.add(name.text or "")
        if name.text is not None and name.text not in models.entries:
            known = meant(name.text, models.entries) or f"there are: {', '.join(models.entries)}"
            yield Finding("LG1101", name.at, f"there is no model `{name.text}`", known)
    for name, model in models.entries.items():
        if name not in used:
            advice = "name it in a service's `targets` or `ladder`, or remove it"
            message = f"no service uses the model `{name}`"
            yield Finding("LG1107", model.name, message, advice, "warning")


def repeats(root: Node) -> Iterator[Finding]:
    """Find models and guards that are named twice in one list."""
    for service in _sections(root, "services"):
        yield from _twice(_items(service, "targets"), "model")
        for side in ("in", "out"):
            yield from _twice(_items(service, "guards", side), "guard")


def files(root: Node, folder: Path) -> Iterator[Finding]:
    """Find files, modules and functions that are not there, and contracts that are none."""
    for model in _sections(root, "models"):
        kind = model.part("kind")
        if kind is not None and kind.value in ("llama", "sklearn"):
            yield from _file(model.part("file"), folder)
        if kind is not None and kind.value == "function":
            yield from _function(model.part("call"), folder)
    for service in _sections(root, "services"):
        yield from _file(service.part("prompt"), folder)
        for side in ("input", "output"):
            yield from _contract(service.find("contract", side), folder)


def digests(root: Node, folder: Path) -> Iterator[Finding]:
    """Find model files whose digest is not the one in the manifest; reads them whole."""
    for model in _sections(root, "models"):
        file, digest = model.part("file"), model.part("sha256")
        if file is None or file.text is None or digest is None:
            continue
        try:
            found = sha256(locate(file.text, folder))
        except (FileMissing, OSError):
            continue  # a finding of its own
        if digest.value != found:
            advice = f"if you trust the file as it is now, write `sha256: {found}`"
            yield Finding("LG1108", digest.at, f"`{file.text}` has another digest", advice)


def sha256(path: Path) -> str:
    """Give a file's SHA-256 digest in hexadecimal digits, reading it piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sections(root: Node, key: str) -> Iterable[Node]:
    section = root.part(key)
    return section.entries.values() if section is not None else ()


def _items(node: Node, *trace: str) -> Iterable[Node]:
    part = node.find(*trace)
    return part.items if part is not None else ()


def _named(root: Node) -> Iterator[Node]:
    for service in _sections(root, "services"):
        yield from _items(service, "targets")
        for rung in _items(service, "ladder"):
            target = rung.part("target")
            if target is not None:
                yield target


def _twice(entries: Iterable[Node], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for entry in entries:
        for word in [entry.text] if entry.text is not None else entry.entries:
            if word in seen:
                message = f"the {what} `{word}` is named twice in this list"
                yield Finding("LG1109", entry.at, message, "keep one of them")
            seen.add(word)


def _file(node: Node | None, folder: Path) -> Iterator[Finding]:
    if node is None or node.text is None:
        return
    try:
        locate(node.text, folder)
    except FileMissing as error:
        yield Finding("LG1102", node.at, error.message, error.advice)


def _contract(node: Node | None, folder: Path) -> Iterator[Finding]:
    missing = list(_file(node, folder))
    yield from missing
    if missing or node is None or node.text is None:
        return
    finding = _schema(node, locate(node.text, folder))
    if finding is not None:
        yield finding


def _schema(node: Node, path: Path) -> Finding | None:
    """Look whether *path* holds a JSON Schema that stands by itself."""
    import jsonschema_rs
    import msgspec

    try:
        schema = msgspec.json.decode(path.read_bytes())
        jsonschema_rs.validator_for(schema, retriever=_nothing_remote)
    except OSError as error:
        return Finding("LG1102", node.at, f"`{node.text}` cannot be read: {error.strerror}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Finding("LG1103", node.at, f"`{node.text}` is not JSON: {error}")
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200]
        advice = "a contract stands by itself: nothing is fetched from elsewhere"
        message = f"`{node.text}` is not a JSON Schema: {reason}"
        return Finding("LG1104", node.at, message, advice if "://" in reason else "")
    return None


def _nothing_remote(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere")


def _function(node: Node | None, folder: Path) -> Iterator[Finding]:
    module, _, function = (node.text or "").partition(":") if node is not None else ("", "", "")
    if node is None or not function or not all(part.isidentifier() for part in module.split(".")):
        return
    path = _module_file(module, folder)
    if path is None and not module_known(module.partition(".")[0]):
        advice = f"write the function into {module.replace('.', '/')}.py beside the manifest"
        yield Finding("LG1106", node.at, f"there is no Python module `{module}`", advice)
    if path is not None:
        yield from _attribute(node, path, function)


def _module_file(module: str, folder: Path) -> Path | None:
    stem = folder.joinpath(*module.split("."))
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


def _attribute(node: Node, path: Path, name: str) -> Iterator[Finding]:
    """Look for the function in the module's text; the module is never run."""
    try:
        tree = ast.parse(path.read_bytes())
    except OSError as error:
        yield Finding("LG1102", node.at, f"{path.name} cannot be read: {error.strerror}")
        return
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        yield Finding("LG1106", node.at, f"{path.name} is not valid Python{line}: {error}"[:200])
        return
    known = set(_defined(tree.body))
    if name not in known and not known & {"*", "__getattr__"}:
        advice = meant(name, known)
        yield Finding("LG1106", node.at, f"{path.name} does not define `{name}`", advice)


def _defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    """List the names that a module's top level binds, `*` for those of a star import."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (name.asname or name.name.partition(".")[0] for name in statement.names)
        else:
            bound = (part for part in ast.walk(statement) if isinstance(part, ast.Name))
            yield from (part.id for part in bound if isinstance(part.ctx, ast.Store))
            inner = (part for part in ast.walk(statement) if isinstance(part, ast.stmt))
            yield from _defined(part for part in inner if part is not statement)
