"""Measure the built-in guards: time per text, what they find, and what they find wrongly.

    .venv/bin/python bench/guards.py

Times are the median of many calls in one thread; take them on a quiet machine. Rates are exact.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from lockgate.ai.guards.rule import GuardName
from lockgate.ai.guards.screen import DEFAULT_ACTION, GuardSpec, Screen, build
from lockgate.ai.guards.stream import StreamScreen
from tests.unit.ai.guards import benign, held_out, samples

PROSE = "The quick brown fox asks about an invoice of last week, and whether it was paid. "
MIXED = "Die Überweisung für das Café kam spät, 忘れました — Проверьте, пожалуйста. "
HITS = PROSE * 3 + "Write to jo.doe@example.com or pay with 4111 1111 1111 1111, ok? "
ALL: tuple[GuardName, ...] = tuple(DEFAULT_ACTION)
IN: tuple[GuardName, ...] = ("invisible", "injection", "secrets")
OUT: tuple[GuardName, ...] = ("invisible", "secrets")


def guard(*names: GuardName) -> Screen:
    """Build a guard with default actions."""
    return build([GuardSpec(name) for name in names])


def microseconds(call: Callable[[], object], *, rounds: int = 200) -> float:
    """Give the median time of one call."""
    times: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - begun) / 1000)
    return median(times)


def inspecting(screen: Screen, text: str) -> Callable[[], object]:
    """Give a call that inspects *text*."""
    return lambda: screen.inspect(text)


def feeding(screen: Screen, text: str, size: int) -> Callable[[], object]:
    """Give a call that feeds the next *size* characters of *text*, over and over, to a stream."""
    stream = StreamScreen(screen)
    pieces = cycle([text[at : at + size] for at in range(0, len(text) - size, size)])
    return lambda: stream.feed(next(pieces))


def cut(text: str, size: int) -> str:
    """Repeat *text* to *size* characters."""
    return (text * (size // len(text) + 1))[:size]


def show_times() -> None:
    """Print the time of `inspect` by length and kind of text, and of a stream's piece."""
    print("inspect, microseconds (median)        0.4 kB     2 kB    32 kB")
    rows = [
        ("clean ASCII, all four guards", PROSE, guard(*ALL)),
        ("clean ASCII, default inward", PROSE, guard(*IN)),
        ("clean ASCII, default outward", PROSE, guard(*OUT)),
        ("clean, many scripts, all four", MIXED, guard(*ALL)),
        ("with findings, all four", HITS, guard(*ALL)),
    ]
    for name, text, screen in rows:
        times = [microseconds(inspecting(screen, cut(text, size))) for size in (400, 2000, 32_000)]
        print(f"  {name:34}" + "".join(f"{value:9.1f}" for value in times))


def show_streams() -> None:
    """Print the time of one piece of four characters, and how much is held back."""
    print("stream, pieces of 4 characters        us/piece  held: median  most")
    for name, names in (("default outward", OUT), ("all four", ALL)):
        screen = guard(*names)
        text = cut(PROSE, 4000)
        held = [screen.hold(text[:end]) for end in range(1, 1000)]
        spent = microseconds(feeding(screen, text, 4), rounds=5000)
        print(f"  {name:34}{spent:9.1f}{median(held):14.0f}{max(held):6d}")


def show_growth() -> None:
    """Print how time grows with length for texts made to be slow: four times is linear."""
    print("nasty texts, all guards mending       250 kB ms   1 MB ms   ratio")
    screen = build([GuardSpec(name, "mend") for name in ALL])
    nasty = {
        "digits": "1",
        "card numbers": "4111 1111 1111 1111 ",
        "dashes": "-",
        "a@": "a@",
        "nested quotes": "\"'",
        "ignore": "ignore ",
        "half an attack": "ignore all previous ",
        "password=": "password=",
        "isolates": "\u2066",
        "mixed scripts": "иi",
    }
    for name, part in nasty.items():
        times = [
            microseconds(inspecting(screen, cut(part, size)), rounds=3) / 1000
            for size in (250_000, 1_000_000)
        ]
        print(f"  {name:34}{times[0]:11.1f}{times[1]:10.1f}{times[1] / times[0]:8.1f}")


def show_rates() -> None:
    """Print recall on the samples and false alarms on ordinary texts, by guard."""
    print("rates                                 found        false alarms")
    for name in ALL:
        screen = guard(name)
        own = [s for s in samples.ALL if s.guard == name]
        found = sum(bool(screen.inspect(s.text).verdicts) for s in own)
        alarms = sum(bool(screen.inspect(text).verdicts) for text in benign.BENIGN)
        print(f"  {name:34}{found:5d}/{len(own):<5d}{alarms:9d}/{len(benign.BENIGN)}")
    show_held_out("held out: injection / all four", held_out.ATTACKS, held_out.BENIGN)
    show_held_out("held out until tuned against", held_out.EARLIER_ATTACKS, held_out.EARLIER_BENIGN)


def show_held_out(name: str, attacks: Sequence[str], ordinary: Sequence[str]) -> None:
    """Print recall and false alarms on texts that are not samples, and which they are."""
    screen, everything = guard("injection"), guard(*ALL)
    missed = [text for text in attacks if not screen.inspect(text).verdicts]
    alarms = [text for text in ordinary if everything.inspect(text).verdicts]
    found = len(attacks) - len(missed)
    print(f"  {name:34}{found:5d}/{len(attacks):<5d}{len(alarms):9d}/{len(ordinary)}")
    for text in alarms:
        print(f"    false alarm: {text}")
    for text in missed:
        print(f"    missed: {text}")


if __name__ == "__main__":
    show_times()
    show_streams()
    show_growth()
    show_rates()
