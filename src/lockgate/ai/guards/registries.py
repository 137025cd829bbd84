"""Extracts of public registries: which domains exist, which calling codes are assigned."""

from __future__ import annotations

from typing import Final

_GENERIC: Final = (
    "com org net edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia "
    "app dev xyz online site shop store tech cloud space website email club live news blog agency "
    "digital group company solutions services systems software studio design media network world "
    "global international support help consulting academy school university health care clinic "
    "hospital bank finance money insurance legal law lawyer energy solar eco earth city berlin "
    "hamburg koeln cologne wien paris london amsterdam brussels tokyo nyc vegas swiss bayern ruhr "
    "saarland scot wales africa arab lat gmbh ltd llc inc page link work works zone today life "
    "top one plus social community events expert guru ninja rocks wtf lol fun games game football "
    "fitness yoga restaurant cafe bar pub pizza kitchen wine beer coffee house homes estate rent "
    "rentals auto cars bike taxi flights tours vacations holiday hotel art gallery photo photos "
    "photography pictures film video audio music radio tv show theater fashion shoes clothing "
    "jewelry gold diamonds gift gifts toys kids baby family wedding dating singles church "
    "foundation charity ngo ong science education training courses institute report review "
    "reviews press wiki test example invalid local localhost internal corp lan home "
)
DOMAINS: Final = frozenset(_GENERIC.split())
"""Generic top-level domains in wide use (IANA root zone), and those of RFC 2606 and local nets."""

_CODES: Final = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 "
    "63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 69 "
    "80 85 87 88 96 97 99 "
)
CALLING_CODES: Final = tuple(_CODES.split())
"""Beginnings of assigned country calling codes (ITU-T E.164)."""


def is_domain(name: str) -> bool:
    """Say whether *name* may be a top-level domain; two letters are always a country's."""
    return (len(name) == 2 and name.isalpha()) or name in DOMAINS or name.startswith("xn--")


def has_calling_code(digits: str) -> bool:
    """Say whether *digits* begin with an assigned country calling code."""
    return digits.startswith(CALLING_CODES)
