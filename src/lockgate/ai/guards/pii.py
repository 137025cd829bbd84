"""Rules that find structured personal facts: e-mail, phone, payment card, IBAN."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import re2

from lockgate.ai.guards.iban import LENGTHS, iban
from lockgate.ai.guards.luhn import luhn
from lockgate.ai.guards.registries import has_calling_code, is_domain
from lockgate.ai.guards.rule import CONTEXT, Match, Rule, Span

_LOCAL_FORGE: Final = frozenset({"git", "hg", "svn"})

_USERINFO: Final = r"://(?:[^\s/@]{0,200}:)?\z"
"""What precedes the password or the name in a URL: `secrets.password-in-url` is for those."""

_NOT_A_PHONE: Final = (
    r"(?i)\b(?:order|invoice|ticket|case|ref|reference|serial|item|part|account|acct|customer|sku|"
    r"model|version|isbn|issn|doi|id|nr|no|number|code|zip|plz|bestell\w*|rechnung\w*|artikel\w*|"
    r"kunden\w*|auftrag\w*|commande|facture|pedido|factura|ordine|fattura|tracking|sendung\w*|"
    r"lot|batch|rfc|patent|amount|total|price|betrag|summe|konto\w*|vat|ust\w*)[ .:#\-]{0,3}"
    r"(?:(?:number|no|nr|nummer|id|is|n°)[ .:#]{0,3}){0,2}\z"
)
_A_PHONE: Final = r"(?i)\b(?:phone|tel|mobile|cell|fax|call|whatsapp|ruf|handy)\w{0,8}[^\n]{0,16}\z"
_DATE: Final = (
    r"(?:(?:19|20)\d\d[ ./\-](?:0?[1-9]|1[0-2])[ ./\-][0-3]?\d|"
    r"[0-3]?\d[ ./\-][0-3]?\d[ ./\-](?:19|20)\d\d)(?:\b|$)"
)
_IP: Final = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"

_CARD_DIGITS: Final = range(13, 20)
_CARD_CUE: Final = (
    r"(?i)\b(?:card|kreditkarte|karte\w*|visa|amex|mastercard|maestro|carte|tarjeta|carta|pan|cc)"
    r"\W[^\n]{0,24}\z"
)
_LOOK_BACK: Final = 40


def _email(text: str, match: Match) -> Iterable[Span]:
    """Keep an address whose top-level domain exists; `git@host:path` and `a@b.T` are code."""
    local, _, domain = (match.group() or "").partition("@")
    domain = _existing(domain)
    begin = match.start() + len(local) - len(local.lstrip(".%+-"))
    end = match.start() + len(local) + 1 + len(domain)
    if not domain or begin >= match.start() + len(local) or local.endswith("."):
        return
    if local in _LOCAL_FORGE or text[end : end + 1] in {"(", "["}:
        return
    if re2.search(_USERINFO, text[max(0, begin - CONTEXT) : begin]):
        return
    yield Span(begin, end)


def _existing(domain: str) -> str:
    """Cut off what follows an existing top-level domain, as in `example.com.Thanks`."""
    while "." in domain and not is_domain(domain.rpartition(".")[2].rstrip("-").lower()):
        domain = domain.rpartition(".")[0]
    return domain.rstrip("-") if "." in domain else ""


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Say whether no letter, digit, or joining sign continues what is between *start* and *end*."""
    before = text[start - 1 : start] if start else ""
    if before and (before.isalnum() or before in "_-./#$€£=&%@:+"):
        return before == ":" or (before in "./-=" and not text[max(0, start - 2)].isalnum())
    after = text[end : end + 1]
    return not (after.isalnum() or after in {"_", "%", "€", "$", "£", "@"})


def _back(text: str, start: int) -> str:
    return text[max(0, start - _LOOK_BACK) : start]


def _phone_international(text: str, match: Match) -> Iterable[Span]:
    """Keep 8 to 15 digits after `+` and an assigned country code (ITU-T E.164)."""
    digits = _digits(match.group() or "")
    start = match.start()
    before = text[start - 1 : start] if start else ""
    if (
        has_calling_code(digits)
        and 8 <= len(digits) <= 15
        and not before.isalnum()
        and before not in {"+", ")"}
    ):
        yield Span(start, match.end())


def _phone_national(text: str, match: Match) -> Iterable[Span]:
    """Keep a national number written with separators, unless it is called something else."""
    start, end = match.start(), match.end()
    shown = match.group() or ""
    if not 9 <= len(_digits(shown)) <= 12 or not _stands_alone(text, start, end):
        return
    back = _back(text, start)
    if re2.search(_DATE, shown) or re2.search(_IP, shown):
        return
    listed = re2.search(r"[0-9][ .,]\z", back) or re2.fullmatch(r"[0-9]{3}(?: [0-9]{3}){2,}", shown)
    if (listed or re2.search(_NOT_A_PHONE, back)) and not re2.search(_A_PHONE, back):
        return
    yield Span(start, end)


def _phone_named(text: str, match: Match) -> Iterable[Span]:
    """Keep digits that follow a word for telephone, unless they are a date or an address."""
    shown = match.group(1) or ""
    if not 7 <= len(_digits(shown)) <= 15 or re2.search(_DATE, shown) or re2.search(_IP, shown):
        return
    if text[match.end(1) : match.end(1) + 1].isalnum() or shown.endswith("000"):
        return
    yield Span(match.start(1), match.end(1))


def _cards(text: str, match: Match) -> Iterator[Span]:
    """Find runs of whole groups that are a card number: length, issuer, Luhn."""
    groups = [(m.start(), m.end()) for m in re2.finditer(r"[0-9]+", match.group() or "")]
    base, first = match.start(), 0
    while first < len(groups):
        for last in range(len(groups) - 1, first - 1, -1):
            span = Span(base + groups[first][0], base + groups[last][1])
            if _is_card(text, span, last - first + 1):
                yield span
                first = last
                break
        first += 1


def _is_card(text: str, span: Span, groups: int) -> bool:
    number = _digits(text[span.start : span.end])
    if len(number) not in _CARD_DIGITS or not _stands_alone(text, *span) or not _issued(number):
        return False
    if not luhn(number) or len(set(number)) == 1:
        return False
    usual = groups > 1 or len(number) in {14, 15, 16}
    return usual or bool(re2.search(_CARD_CUE, _back(text, span.start)))


def _issued(number: str) -> bool:
    """Say whether a scheme issues numbers with this beginning and length (ISO/IEC 7812)."""
    length, two, three, four = len(number), int(number[:2]), int(number[:3]), int(number[:4])
    if number[0] == "4":
        return length in {13, 16, 19}
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in {34, 37}:
        return length == 15
    if two in {36, 38, 39} or 300 <= three <= 305:
        return 14 <= length <= 19
    if four == 6011 or two in {62, 65, 81} or 644 <= three <= 649 or 3528 <= four <= 3589:
        return length >= 16
    return four in {5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763} and length >= 13


def _iban(text: str, match: Match) -> Iterable[Span]:
    """Keep as many characters as the country's numbers have, if they check out."""
    shown = match.group() or ""
    wanted, seen, end = LENGTHS.get(shown[:2], 0), 0, 0
    for place, character in enumerate(shown):
        seen += character.isalnum()
        if seen == wanted:
            end = place + 1
            break
    after = text[match.start() + end : match.start() + end + 1]
    compact = "".join(filter(str.isalnum, shown[:end]))
    if end and not after.isalnum() and iban(compact):
        yield Span(match.start(), match.start() + end)


_SEPARATOR = r"[ .\-/()\x{A0}\x{202F}]"
_WORD = (
    r"(?:[ .:=()\-]{1,3}"
    r"(?:me|us|him|her|at|on|is|number|no|nr|nummer|unter|an|mich|au|al|es|my|under|via))"
)
_PHONE_WORDS = (
    r"(?:\b(?:tel(?:efon|ephone|éfono|efono|efone)?|phone|mobile|mobil|cell(?:phone)?|call|dial|fax|"
    r"whatsapp|handy|rufnummer|anrufen|móvil|movil|celular|téléphone|telefono|cellulare)|"
    r"電話|电话|手机|тел|телефон)"
)

_RULES: Final = (
    Rule(
        name="pii.email",
        trigger=r"[A-Za-z0-9_%+\-]@[A-Za-z0-9]",
        pattern=r"[A-Za-z0-9\x{C0}-\x{24F}._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}"
        r"(?:\.[A-Za-z0-9\-]{1,63}){1,8}",
        placeholder="[email]",
        check=_email,
    ),
    Rule(
        name="pii.iban",
        trigger=r"\b[A-Z]{2}[0-9]{2}[ \-]?[A-Z0-9]{4}",
        pattern=r"\b[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]){11,30}",
        placeholder="[iban]",
        check=_iban,
    ),
    Rule(
        name="pii.card",
        trigger=r"[0-9](?:[ \-]?[0-9]){12}",
        pattern=r"[0-9](?:[ \-]?[0-9]){12,63}",
        placeholder="[card]",
        check=_cards,
    ),
    Rule(
        name="pii.phone",
        trigger=r"\+[1-9](?:[ .\-/()]{0,3}[0-9]){7}",
        pattern=rf"\+[1-9](?:{_SEPARATOR}{{0,3}}[0-9]){{7,14}}",
        placeholder="[phone]",
        check=_phone_international,
    ),
    Rule(
        name="pii.phone",
        trigger=r"\b\(?0[1-9][0-9]{0,3}\)?[ /\-][0-9]{2}",
        pattern=r"\(?\b0[1-9][0-9]{0,3}\)?[ /\-][0-9]{2,8}(?:[ \-][0-9]{2,5}){0,4}",
        placeholder="[phone]",
        check=_phone_national,
    ),
    Rule(
        name="pii.phone",
        trigger=r"\(?[2-9][0-9]{2}\)?[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}",
        pattern=r"(?:1[ .\-])?\(?[2-9][0-9]{2}\)?[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}",
        placeholder="[phone]",
        check=_phone_national,
    ),
    Rule(
        name="pii.phone",
        trigger=r"[0-9](?:[ .\-/()]{0,2}[0-9]){6}",
        pattern=_PHONE_WORDS
        + _WORD
        + r"{0,4}[ .:=#\x{FF1A}]{0,3}(\+?\(?[0-9](?:[ .\-/()]{0,2}[0-9]){6,15})",
        placeholder="[phone]",
        check=_phone_named,
        folds_case=True,
    ),
)


def rules() -> tuple[Rule, ...]:
    """Give the rules."""
    return _RULES
