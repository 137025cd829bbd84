"""The pulse of a child: who is frozen, who only works, and who is not watched yet."""

from __future__ import annotations

import math
import os

from lockgate.processes.pulse import Patience, Pulse, processor_seconds

RUNNER = Patience(still=30.0, deaf=300.0, loading=60.0)


def test_who_is_loading_has_a_patience_of_its_own() -> None:
    """Before the first beat nobody is deaf, and stillness is borne for another time."""
    pulse = Pulse(0.0)
    assert not any(pulse.lost(float(now), RUNNER, lambda now=now: now) for now in range(1000))
    assert pulse.lost(1040.0, RUNNER, lambda: 999.0) == 0.0
    assert pulse.lost(1060.0, RUNNER, lambda: 999.0) == 1060.0
    for_ever = Patience(still=30.0, deaf=300.0, loading=math.inf)
    assert Pulse(0.0).lost(1e9, for_ever, lambda: 0.0) == 0.0


def test_silence_without_work_is_too_long_after_a_while() -> None:
    """Neither a beat nor any processor time: lost, and it is said for how long it was silent."""
    pulse = Pulse(0.0)
    pulse.beat(0.0)
    assert [pulse.lost(float(now), RUNNER, lambda: 7.0) for now in range(38)] == [0.0] * 38
    assert pulse.lost(38.0, RUNNER, lambda: 7.0) == 38.0


def test_silence_at_work_is_borne_longer() -> None:
    """A model that computes with the interpreter's lock in its hands is not frozen."""
    pulse = Pulse(0.0)
    pulse.beat(0.0)
    for now in range(300):
        assert pulse.lost(float(now), RUNNER, lambda now=now: now / 10) == 0.0
    assert pulse.lost(300.0, RUNNER, lambda: 30.0) == 300.0


def test_who_cannot_be_looked_into_counts_as_at_work() -> None:
    """Where the system does not tell the time used, only the longer limit holds."""
    pulse = Pulse(0.0)
    pulse.beat(0.0)
    assert not any(pulse.lost(float(now), RUNNER, lambda: None) for now in range(300))
    assert pulse.lost(300.0, RUNNER, lambda: None) == 300.0


def test_a_beat_or_a_pardon_begins_anew() -> None:
    """What was before does not count."""
    pulse = Pulse(0.0)
    for begin in (pulse.beat, pulse.forgive):
        begin(100.0)
        assert pulse.lost(129.0, RUNNER, lambda: 1.0) == 0.0


def test_processor_time_is_read_from_the_system() -> None:
    """It grows with work, and there is none of a process that does not exist."""
    before = processor_seconds(os.getpid())
    assert before is not None
    while processor_seconds(os.getpid()) == before:
        pass
    assert processor_seconds(2**22 + 1) is None
