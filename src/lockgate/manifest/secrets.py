"""Secrets in plain sight: find them, and blank them wherever the text is shown."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.manifest.findings import Finding
from lockgate.manifest.place import Node, Span, Trace

MASK = "***"

_KNOWN = re.compile(
    r"""\b(
      sk-[\w-]{10,} | [sr]k_(?:live|test)_\w{10,} | gh[pousr]_\w{16,} | github_pat_\w{16,}
    | glpat-[\w-]{16,} | (?:AKIA|ASIA)[0-9A-Z]{16} | xox[abeoprs]-[\w-]{10,} | hf_\w{16,}
    | AIza[\w-]{30,} | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,} | lg[-_][\w.-]{20,}
    | pypi-[\w-]{20,} | npm_\w{20,} )""",
    re.VERBOSE,
)
_IN_URL = re.compile(r"(?<=://)([^\s/@:'\"]*:)([^\s/@'\"]+)(?=@)")
_LIKE_A_KEY = re.compile(
    r"(?:^|[_-])(?:key|token|secret|password|passwd|credentials?|authorization)$", re.IGNORECASE
)
_IN_BROKEN_YAML = re.compile(
    r"""(?:key|token|secret|password|passwd|authorization)["']?[ \t]*:[ \t]*([^\s{},\#]{8,})""",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets that stand in a manifest's text: findings that do not repeat them, and where."""

    findings: tuple[Finding, ...] = ()
    spans: tuple[Span, ...] = ()
    texts: tuple[str, ...] = ()

    def blanked(self, text: str) -> str:
        """Give the manifest's text with secrets blanked out, character for character."""
        for span in self.spans:
            text = text[: span.start] + _stars(text[span.start : span.end]) + text[span.end :]
        text = _KNOWN.sub(lambda match: _stars(match[0]), text)
        text = _IN_URL.sub(lambda match: match[1] + _stars(match[2]), text)
        if self.findings or self.spans:
            return text
        return _IN_BROKEN_YAML.sub(_blank_group, text)

    def masked(self, sentence: str) -> str:
        """Give a sentence that quotes the manifest without its secrets."""
        for secret in self.texts:
            for part in (secret, secret[:60], secret[:40]):
                sentence = sentence.replace(part, MASK) if len(part) >= 4 else sentence
        return masked(sentence)


def masked(sentence: str) -> str:
    """Give a sentence without anything that looks like a secret."""
    sentence = _KNOWN.sub(MASK, sentence)
    return _IN_URL.sub(lambda match: match[1] + MASK, sentence)


def find(root: Node) -> Secrets:
    """Find the secrets below *root*."""
    found = list(_found(root))
    return Secrets(
        tuple(finding for finding, _, _ in found),
        tuple(span for _, span, _ in found),
        tuple(text for _, _, text in found),
    )


def _found(root: Node) -> Iterator[tuple[Finding, Span, str]]:
    for trace, node in root.walk():
        text = str(node.value) if isinstance(node.value, str | int | float) else ""
        finding = _look(trace, node, text) if text else None
        if finding is not None:
            yield finding, node.at, text


def _look(trace: Trace, node: Node, text: str) -> Finding | None:
    key = next((step for step in reversed(trace) if isinstance(step, str)), "")
    if _IN_URL.search(text):
        advice = "put the whole URL in an environment variable, and write `{env: DATABASE_URL}`"
        return Finding("LG1202", node.at, f"a password stands in the URL of `{key}`", advice)
    if key == "env" and not isinstance(node.value, bool) and not _NAME.fullmatch(text):
        message = "`env` names an environment variable; this cannot be the name of one"
        return Finding("LG1201", node.at, message, "write the variable's name, not what is in it")
    if _KNOWN.search(text) or _is_model_key(trace) or _looks_secret(key, text):
        name = _variable(trace, text)
        advice = f"write `{{env: {name}}}`, and set the variable where Lockgate runs"
        return Finding("LG1201", node.at, f"`{key}` holds a secret in plain sight", advice)
    return None


def _is_model_key(trace: Trace) -> bool:
    """Say whether this is the `key` of a model, where any text is a literal secret."""
    return len(trace) >= 3 and trace[-3] == "models" and trace[-1] == "key"


def _looks_secret(key: str, text: str) -> bool:
    return (
        bool(_LIKE_A_KEY.search(key))
        and len(text) >= 12
        and not set(text) & set(" /{")
        and _dense(text)
    )


def _dense(text: str) -> bool:
    """Say whether a text is as random as keys are: above 3 bits for each character."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts) > 3.0


def _variable(trace: Trace, text: str) -> str:
    """Suggest the variable's name: as `${NAME}` gives it, else after the model."""
    written = _VARIABLE.match(text)
    if written is not None:
        return written[1]
    steps = [step for step in trace[-2:] if isinstance(step, str)]
    return re.sub(r"\W", "_", "_".join(steps)).upper()


def _stars(text: str) -> str:
    return re.sub(r"[^\r\n\x85\u2028\u2029]", "*", text)


def _blank_group(match: re.Match[str]) -> str:
    return match[0].replace(match[1], _stars(match[1]))
