"""Rules that find credentials by their published shapes, and by what they are assigned to."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from typing import Final

import msgspec
import re2

from lockgate.ai.guards.entropy import is_digest, is_placeholder, is_random
from lockgate.ai.guards.rule import Check, Match, Rule, Span

_SHORTEST_PASSWORD: Final = 8


def _random(_text: str, match: Match) -> Iterable[Span]:
    """Keep a match with letters and digits that is no placeholder."""
    value = match.group() or ""
    if is_random(value):
        yield Span(match.start(), match.end())


def _real(_text: str, match: Match) -> Iterable[Span]:
    """Keep a match that is no placeholder."""
    if not is_placeholder(match.group() or ""):
        yield Span(match.start(), match.end())


def _real_word(text: str, match: Match) -> Iterable[Span]:
    """Keep a match that is no placeholder and does not go on."""
    after = text[match.end() : match.end() + 1]
    return () if after.isalnum() or after == "_" else _real(text, match)


def _real_group(_text: str, match: Match) -> Iterable[Span]:
    """Keep the match's only group if it is no placeholder."""
    if not is_placeholder(match.group(1) or ""):
        yield Span(match.start(1), match.end(1))


def _aws_secret(text: str, match: Match) -> Iterable[Span]:
    """Keep the forty characters after an access key id if they end there."""
    after = text[match.end() : match.end() + 1]
    if not (after.isalnum() or after in {"+", "/"}):
        yield from _real_group(text, match)


def _jwt(_text: str, match: Match) -> Iterable[Span]:
    """Keep a token whose header is JSON with an algorithm (RFC 7519)."""
    header = (match.group() or "").partition(".")[0]
    try:
        fields = msgspec.json.decode(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return
    if isinstance(fields, dict) and "alg" in fields:
        yield Span(match.start(), match.end())


def _pem(_text: str, match: Match) -> Iterable[Span]:
    """Keep a private key with a body; without its last line, up to the last long run of Base64."""
    block = match.group() or ""
    if block.endswith("KEY-----") and "-----END" in block:
        yield Span(match.start(), match.end())
        return
    *_, last = re2.finditer(r"[A-Za-z0-9+/=]{20,}", block)
    yield Span(match.start(), match.start() + last.end())


def _password_in_url(_text: str, match: Match) -> Iterable[Span]:
    """Keep the password of a connection string unless it is a stand-in."""
    value = match.group(1) or ""
    stand_in = value.lower() in {"password", "pass", "passwd", "pwd", "secret", "user", "token"}
    if not stand_in and not is_placeholder(value + "#%&~|^") and value[0] not in "$%{<*":
        yield Span(match.start(1), match.end(1))


def _assigned(text: str, match: Match) -> Iterable[Span]:
    """Keep an assigned value that looks generated, or like a password somebody chose."""
    value = (match.group(1) or "").rstrip(".!?")
    end = match.start(1) + len(value)
    if len(value) < _SHORTEST_PASSWORD or text[end : end + 1] in {"(", "["}:
        return
    if is_random(value) and not is_digest(value) and not _is_code(value):
        yield Span(match.start(1), end)


def _is_code(value: str) -> bool:
    """Say whether *value* is a reference, a path, a URL, a version or a date."""
    if value[0] in "$%/~&*." or "://" in value or "${" in value:
        return True
    return bool(
        re2.fullmatch(r"[A-Za-z_][a-z_0-9]*(?:(?:\.|::|->|/)[A-Za-z_][A-Za-z_0-9]*)+", value)
        or re2.fullmatch(r"[A-Za-z]+(?:[_\-][A-Za-z]+)*[_\-]?[0-9]{1,2}", value)
        or re2.fullmatch(r"[vV]?[0-9]+(?:[.\-:T][0-9A-Za-z]+)+", value)
    )


def _secret(name: str, trigger: str, pattern: str, check: Check = _random) -> Rule:
    return Rule(
        name=f"secrets.{name}",
        trigger=trigger,
        pattern=pattern,
        placeholder=f"[secret:{name}]",
        check=check,
    )


_NAMES = (
    r"(?:pass(?:word|wd|phrase|wort)|pwd|secret|token|credentials?|kennwort|contrase(?:ñ|n)a|"
    r"mot de passe|senha|api[_\- ]?key|access[_\-]?key|private[_\-]?key|auth[_\-]?key)"
    r"(?:[_\-](?:key|value|prod|live|base|id|access[_\-]key)){0,2}"
)
_EQUALS = r"[\"'`]?\s{0,3}(?::=|=>|==|=|:|is|lautet|est|es)\s{0,3}[\"'`]?"
_VALUE = r"([^\s\"'`,;<>(){}\[\]|]{8,})"

_RULES: Final = (
    _secret(
        "private-key",
        r"-----BEGIN ",
        r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:\s|\\[nr]){1,8}(?:[A-Z][A-Za-z\-]{2,20}: [^\n\\]*(?:\s|\\[nr]){1,8}){0,4}"
        r"[A-Za-z0-9+/=]{20,}(?:[A-Za-z0-9+/=]|\s|\\[nr])*"
        r"(?:-----END [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----)?",
        _pem,
    ),
    _secret("anthropic-key", r"\bsk-ant-", r"\bsk-ant-[a-z0-9]{2,10}-[A-Za-z0-9_\-]{20,}"),
    _secret(
        "openai-key",
        r"\bsk-(?:[A-Za-z0-9]{20}|proj-|svcacct-|admin-|or-)",
        r"\bsk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_\-]{20,}|[A-Za-z0-9]{20,})",
    ),
    _secret("lockgate-key", r"\blg-[A-Za-z0-9]{8}", r"\blg-[A-Za-z0-9]{8,16}-[A-Za-z0-9]{20,}"),
    _secret(
        "aws-key",
        r"\bA(?:KIA|SIA|ROA|IDA|BIA|CCA)[A-Z2-7]{16}",
        r"\bA(?:KIA|SIA|ROA|IDA|BIA|CCA)[A-Z2-7]{16}",
        _real_word,
    ),
    _secret(
        "aws-secret",
        r"\bA(?:KIA|SIA)[A-Z2-7]{16}",
        r"\bA(?:KIA|SIA)[A-Z2-7]{16}[^A-Za-z0-9+/]{1,8}(?:[A-Za-z_ ]{1,30}[\s\"'=:]{1,6})?"
        r"([A-Za-z0-9+/]{40})",
        _aws_secret,
    ),
    _secret("github-token", r"\bgh[pousr]_[A-Za-z0-9]{8}", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    _secret("github-token", r"\bgithub_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    _secret(
        "gitlab-token", r"\bgl(?:pat|dt|rt|ptt)-", r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_\-]{20,}"
    ),
    _secret(
        "slack-token", r"\bx(?:ox[abeoprs]|app)-", r"\bx(?:ox[abeoprs]|app)-[A-Za-z0-9\-]{10,}"
    ),
    _secret(
        "slack-webhook",
        r"hooks\.slack\.com/",
        r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,}/[A-Z0-9]{6,}/[A-Za-z0-9]{16,}",
    ),
    _secret("google-key", r"\bAIza", r"\bAIza[A-Za-z0-9_\-]{35}"),
    _secret("google-secret", r"\bGOCSPX-|\bya29\.", r"\b(?:GOCSPX-|ya29\.)[A-Za-z0-9_\-]{24,}"),
    _secret("stripe-key", r"\b[sr]k_(?:live|test)_", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _secret("stripe-webhook", r"\bwhsec_", r"\bwhsec_[A-Za-z0-9+/=]{24,}"),
    _secret(
        "jwt",
        r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ",
        r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]*",
        _jwt,
    ),
    _secret("npm-token", r"\bnpm_", r"\bnpm_[A-Za-z0-9]{36,}"),
    _secret("pypi-token", r"\bpypi-Ag", r"\bpypi-Ag[A-Za-z0-9_\-]{40,}"),
    _secret("sendgrid-key", r"\bSG\.", r"\bSG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}"),
    _secret("twilio-key", r"\bSK[0-9a-f]{32}", r"\bSK[0-9a-f]{32}", _real_word),
    _secret("huggingface-token", r"\bhf_[A-Za-z]", r"\bhf_[A-Za-z0-9]{30,}", _real),
    _secret("digitalocean-token", r"\bdo[opr]_v1_", r"\bdo[opr]_v1_[a-f0-9]{64}"),
    _secret("shopify-token", r"\bshp(?:at|ca|pa|ss)_", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _secret("telegram-token", r"\b[0-9]{8,10}:AA", r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}"),
    _secret("databricks-token", r"\bdapi[a-f0-9]{8}", r"\bdapi[a-f0-9]{32}"),
    _secret("vault-token", r"\bhv[sb]\.", r"\bhv[sb]\.[A-Za-z0-9_\-]{24,}"),
    _secret("groq-key", r"\bgsk_[A-Za-z0-9]{8}", r"\bgsk_[A-Za-z0-9]{40,}"),
    _secret("age-key", r"AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    _secret(
        "azure-key",
        r"AccountKey=|SharedAccessKey=",
        r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})",
        _real_group,
    ),
    _secret(
        "password-in-url",
        r"://[^\s:@/\"'<>\[\]]*:[^\s@/\"'<>\[\]]+@",
        r"://[^\s:@/\"'<>\[\]]*:([^\s@/\"'<>\[\]]{3,})@",
        _password_in_url,
    ),
    Rule(
        name="secrets.assigned",
        trigger=_NAMES + r"[\"'`]?\s{0,3}(?::|=|is|lautet|est|es)",
        pattern=_NAMES + _EQUALS + _VALUE,
        placeholder="[secret]",
        check=_assigned,
        folds_case=True,
    ),
)
"""Most specific first: where two findings overlap, the first one names the placeholder."""


def rules() -> tuple[Rule, ...]:
    """Give the rules."""
    return _RULES
