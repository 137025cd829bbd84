"""The demo's verdict can fail: every kind of fault is found, and nothing else is."""

from __future__ import annotations

import msgspec
import pytest

from lockgate.demo.project import Sample
from lockgate.demo.table import table
from lockgate.demo.traffic import Told
from lockgate.demo.verify import Line, verify

TOLD = Told(
    service="assistant",
    at=1.0,
    seconds=0.5,
    status=200,
    request_id="a",
    outcome="answered",
    cost="0.000002",
)
LINE = Line(id="a", outcome="answered", target="small", cost=2_000_000)
SURE = Sample({"x": 1.0}, "benign", 0.99)


def test_what_was_told_and_recorded_alike_is_fine() -> None:
    """No fault where there is none."""
    assert verify([TOLD], {"a": LINE}).fine


@pytest.mark.parametrize(
    ("told", "line", "kind"),
    [
        ({"trouble": "cut"}, {}, "lost"),
        ({"outcome": "fallback"}, {}, "mislabelled"),
        ({"cost": "0.000003"}, {}, "mislabelled"),
        ({}, {"target": "handbook"}, "mislabelled"),
        ({}, {"outcome": "cached"}, "mislabelled"),
        ({"request_id": "b"}, {}, "unrecorded"),
        ({"expected": SURE, "answer": {"label": "malignant"}}, {}, "mislabelled"),
        (
            {"expected": msgspec.structs.replace(SURE, sure=0.5), "answer": {"label": "benign"}},
            {},
            "mislabelled",
        ),
    ],
)
def test_every_kind_of_fault_is_found(
    told: dict[str, object], line: dict[str, object], kind: str
) -> None:
    """Each single difference between caller, ledger and model makes the demo fail."""
    call = msgspec.structs.replace(TOLD, **told)
    kept = msgspec.structs.replace(LINE, **line)

    findings = verify([call], {"a": kept})

    assert getattr(findings, kind)
    assert not findings.fine


def test_a_request_id_given_twice_is_a_lost_call() -> None:
    """Two calls cannot be the same line of the ledger."""
    assert verify([TOLD, TOLD], {"a": LINE}).lost


def test_the_table_has_a_row_for_every_service_also_without_calls() -> None:
    """The picture is whole from the first moment."""
    assert table([], "x").row_count == table([TOLD], "x").row_count == 3
