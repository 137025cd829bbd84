"""What is wrong with a manifest, as facts with a place, and how a person is shown them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from lockgate.manifest.place import Span

CODES: Mapping[str, str] = {
    "LG1001": "The file cannot be read.",
    "LG1002": "The file is not UTF-8 text.",
    "LG1003": "The text is not YAML.",
    "LG1004": "A key stands twice in one mapping.",
    "LG1005": "There is nothing in the file, or it is not a mapping.",
    "LG1006": "A part of YAML that a manifest has no use for.",
    "LG1010": "A key that is not known here.",
    "LG1011": "A key that is needed is missing.",
    "LG1012": "A value of the wrong type.",
    "LG1013": "A word that is not one of those allowed here.",
    "LG1014": "A value out of bounds.",
    "LG1015": "A quantity that cannot be read: duration, share, size, money or rate.",
    "LG1016": "A name or a reference of the wrong form.",
    "LG1101": "The name of a model that does not exist.",
    "LG1102": "A file that does not exist or cannot be read.",
    "LG1103": "A contract that is not JSON.",
    "LG1104": "A contract that is not a JSON Schema.",
    "LG1105": "The name of an environment that does not exist.",
    "LG1106": "A Python package, module or function that cannot be found.",
    "LG1107": "A model that no service uses.",
    "LG1108": "A file whose digest is not the one in the manifest.",
    "LG1109": "A guard or a model that is named twice.",
    "LG1110": "Something that does not go with the service's kind.",
    "LG1201": "A secret in plain sight.",
    "LG1202": "A password in a URL.",
    "LG1203": "An environment variable that is not set.",
    "LG1204": "A secret file that is missing or empty.",
    "LG1301": "A ladder that comes back to a model that was tried before.",
    "LG1302": "A rung that can never match, because one above it always answers.",
    "LG1303": "`low_confidence` where no confidence is demanded.",
    "LG1304": "`contract` where no form of output is demanded.",
    "LG1305": "A rung that takes over on nothing.",
    "LG1306": "A confidence signal that no model of the service gives.",
    "LG1307": "A cache rung where nothing is cached.",
}
"""Every code a finding can have: LG10 form, LG11 references, LG12 secrets, LG13 dead rules."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, what, and what to do about it."""

    code: str
    at: Span
    message: str
    help: str = ""
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Source:
    """The text that findings point into, as it may be shown: without secrets.

    Attributes:
        name: The file as the user named it.
        text: Its text, with what is secret blanked out, character for character.
    """

    name: str
    text: str


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by place and drop what is said twice."""
    return tuple(
        sorted(dict.fromkeys(findings), key=lambda f: (f.at.line, f.at.column, f.code, f.message))
    )


def rendered(finding: Finding, source: Source) -> str:
    """Write a finding as `file:line:col: error[CODE]: message` with its lines, a caret and help."""
    at = finding.at
    place = f"{source.name}:{at.line}:{at.column}"
    head = f"{place}: {finding.severity}[{finding.code}]: {_visible(finding.message)}"
    parts = [head, *_excerpt(at, source.text)]
    if finding.help:
        parts.append(f"  help: {_visible(finding.help)}")
    return "\n".join(parts)


def meant(word: str, known: Iterable[str]) -> str:
    """Write "did you mean …?" for *word*, or an empty text if nothing is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:
        folded = {name.casefold().replace("_", "-"): name for name in names}
        close = [folded[key] for key in (word.casefold().replace("_", "-"),) if key in folded]
    return f"did you mean `{close[0]}`?" if close else ""


def listed(words: Iterable[str]) -> str:
    """Write words as "`a`, `b` or `c`"."""
    quoted = [f"`{word}`" for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def said(*sentences: str) -> str:
    """Join those sentences that are not empty."""
    return " ".join(sentence for sentence in sentences if sentence)


def lines_of(text: str) -> list[str]:
    """Split as YAML counts lines; `str.splitlines` would also break at form feeds and the like."""
    for other in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        text = text.replace(other, "\n")
    return text.split("\n")


def _excerpt(at: Span, text: str) -> list[str]:
    """Show the line with two lines before it, and carets under the place."""
    lines = lines_of(text)
    if not text.strip() or at.line > len(lines):
        return []
    first = max(1, at.line - 2)
    shown = [f"{n:>5} | {_visible(lines[n - 1][:160])}".rstrip() for n in range(first, at.line + 1)]
    room = len(lines[at.line - 1].rstrip()) - at.column + 1
    width = max(1, min(at.end - at.start, room, 80))
    if at.column <= 160:
        shown.append(f"      | {' ' * (at.column - 1)}{'^' * width}")
    return shown


def _visible(text: str) -> str:
    """Replace what a terminal would act on (controls, bidirectional marks) by a middle dot."""
    return "".join(char if char.isprintable() else " " if char == "\t" else "·" for char in text)
