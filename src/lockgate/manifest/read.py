"""Text to tree: YAML 1.2 with places, and everything that is wrong with the YAML itself.

ruamel's composer gives nodes with marks; scalars are built here, so that nothing but JSON's types
can come out: no dates, no sets, no tags of anyone's own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.manifest.findings import Finding
from lockgate.manifest.place import TOP, Node, Scalar, Span

MOST_VALUES = 20_000
DEEPEST = 60
LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text came to: a tree unless it is no YAML at all, and what is wrong with it."""

    root: Node | None
    findings: tuple[Finding, ...]


def read(text: str) -> Reading:
    """Read YAML *text*; never raises."""
    if len(text) > LARGEST:
        return _nothing(
            "LG1006", TOP, f"the file is larger than {LARGEST} characters, which is the limit", ""
        )
    composed = _compose(text)
    if isinstance(composed, Reading):
        return composed
    if composed is None:
        return _nothing("LG1005", TOP, "the file is empty", "`lockgate init` writes a first one")
    builder = _Builder()
    root = builder.build(composed, (), 0)
    if not builder.findings and not root.entries:
        message = "a manifest is a mapping that begins with `version: 1`"
        return _nothing("LG1005", root.at, message, "`lockgate init` writes a first one")
    return Reading(root if root.entries else None, tuple(builder.findings))


def span_at(text: str, offset: int, length: int = 1) -> Span:
    """Give the span of *length* characters at *offset*."""
    before = text[:offset]
    line = before.count("\n") + 1
    return Span(offset, offset + length, line, offset - (before.rfind("\n") + 1) + 1)


def _nothing(code: str, at: Span, message: str, help: str) -> Reading:  # noqa: A002 — the field's name
    return Reading(None, (Finding(code, at, message, help),))


def _compose(text: str) -> Any:
    """Give ruamel's node, None for an empty text, or a Reading that says what is wrong."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # style advice from ruamel, not for our users
            return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (
            TOP
            if mark is None
            else Span(mark.index, mark.index + 1, mark.line + 1, mark.column + 1)
        )
        return _nothing("LG1003", at, _problem(error), _advice(str(error.problem), text, at))
    except ReaderError as error:
        at = span_at(text, int(error.position))
        code = f"U+{ord(text[at.start]):04X}" if at.start < len(text) else "one"
        return _nothing("LG1003", at, f"a character that YAML does not allow ({code})", "remove it")
    except RecursionError:
        return _nothing(
            "LG1006", TOP, f"lists and mappings are nested more than {DEEPEST} deep", ""
        )
    except Exception as error:  # noqa: BLE001 — ruamel raises IndexError, ValueError … on broken text
        return _nothing("LG1003", TOP, f"this cannot be read as YAML ({type(error).__name__})", "")


def _problem(error: Any) -> str:
    context = f"{error.context}: " if error.context else ""
    return f"{context}{error.problem or 'this is not YAML'}".replace("\n", " ")


def _advice(problem: str, text: str, at: Span) -> str:
    line = text[: at.start].rsplit("\n", 1)[-1] + text[at.start : at.start + 1]
    if "\t" in line or r"'\t'" in problem:
        return "indent with spaces; YAML does not allow tabs"
    if "mapping values are not allowed" in problem:
        return "text with a colon must be in quotes, and keys of one section in one column"
    if "single document" in problem:
        return "a manifest is one document: remove the `---` between"
    if "alias" in problem:
        return "text that begins with `*` must be in quotes"
    if "cannot start any token" in problem:
        return "text that begins with a special character must be in quotes"
    return "look for a missing quote, bracket or colon, and for the indentation"


class _Builder:
    """Builds our tree from ruamel's, collecting findings on the way."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._left = MOST_VALUES

    def build(self, node: Any, above: tuple[int, ...], depth: int, key: Span | None = None) -> Node:
        at = _span(node)
        self._left -= 1
        if self._left < -1:
            return Node(None, at, key)
        if (excess := self._excess(node, above, depth)) is not None:
            self.findings.append(Finding("LG1006", at, *excess))
            return Node(None, at, key)
        above = (*above, id(node))
        if node.id == "scalar":
            return Node(self._scalar(node, at), at, key)
        if not str(node.tag).endswith((":map", ":seq")):
            self._refuse(at, key, f"the tag `{node.tag}`")
        if node.id == "mapping":
            return Node(self._entries(node.value, above, depth), at, key)
        return Node([self.build(item, above, depth + 1) for item in node.value], at, key)

    def _excess(self, node: Any, above: tuple[int, ...], depth: int) -> tuple[str, str] | None:
        """Say which limit *node* breaks, and what to do; None if it breaks none."""
        if id(node) in above:
            return "an alias that contains itself", "write out what it stands for"
        if depth > DEEPEST:
            message = f"lists and mappings are nested more than {DEEPEST} deep, which is the limit"
            return message, "a manifest needs less than ten"
        if self._left < 0:
            message = f"the file has more than {MOST_VALUES} values, which is the limit"
            return message, "look for aliases (`*name`) that multiply what they stand for"
        return None

    def _entries(self, pairs: Sequence[Any], above: tuple[int, ...], depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for name, value in pairs:
            at = _span(name)
            if name.id != "scalar":
                self._refuse(at, None, "a key that is a list or a mapping")
            elif str(name.tag).endswith(":merge"):
                merged |= self._merged(self.build(value, above, depth + 1, at))
            elif name.value in entries:
                line = (entries[name.value].key or at).line
                message = f"`{name.value}` stands here twice; first in line {line}"
                self.findings.append(Finding("LG1004", at, message, "keep one of them"))
            else:
                entries[str(name.value)] = self.build(value, above, depth + 1, at)
        return {**merged, **entries}

    def _merged(self, node: Node) -> dict[str, Node]:
        """Give what `<<` brings in; the first of several mappings wins, as YAML has it."""
        if node.entries:
            return dict(node.entries)
        merged: dict[str, Node] = {}
        for part in node.items:
            merged = {**part.entries, **merged}
        return merged

    def _scalar(self, node: Any, at: Span) -> Scalar:
        kind = str(node.tag).rpartition(":")[2]
        text = str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on", "y")  # `%YAML 1.1` may be asked for
        if kind in ("int", "float"):
            return self._number(kind, text, at)
        if kind not in ("str", "timestamp", "value", "merge"):
            self._refuse(at, None, f"the tag `{node.tag}`")
        elif any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
            self._refuse(at, None, "text with a zero character or half a surrogate pair")
        else:
            return text
        return None

    def _number(self, kind: str, text: str, at: Span) -> int | float | None:
        digits = text.replace("_", "")
        try:
            number = (
                int(_base(digits), 0) if kind == "int" else float(digits.replace(".inf", "inf"))
            )
        except ValueError:
            number = math.nan
        if abs(number) < 1e300:
            return number
        self._refuse(at, None, f"`{text[:20]}`, a number that JSON cannot carry")
        return None

    def _refuse(self, at: Span, key: Span | None, what: str) -> Node:
        message = f"a manifest has no use for {what}"
        self.findings.append(
            Finding("LG1006", at, message, "write plain text, numbers, lists, mappings")
        )
        return Node(None, at, key)


def _base(digits: str) -> str:
    """Bring a YAML 1.2 integer to Python's form: no leading zeros, which are decimal here."""
    sign = digits[:1] if digits[:1] in "+-" else ""
    rest = digits[len(sign) :]
    return digits if rest[:2].lower() in ("0o", "0x", "0b") else sign + (rest.lstrip("0") or "0")


def _span(node: Any) -> Span:
    start, end = node.start_mark, node.end_mark
    return Span(start.index, max(end.index, start.index + 1), start.line + 1, start.column + 1)
