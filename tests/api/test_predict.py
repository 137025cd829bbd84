"""Plain JSON calls."""

from __future__ import annotations

import pytest

from lockgate.core.errors import BackendGone
from lockgate.core.exchange import Answer, Surface
from lockgate.core.payload import RowsReply
from lockgate.request.validate import SchemaContract
from tests.api.conftest import Open
from tests.api.door import Door, Model, Plan, says

PATH = "/v1/services/router/predict"
TEAM = says(Answer(reply=RowsReply(output={"team": "billing"}), target="small"))


def test_the_body_is_the_answer_and_nothing_else(open_door: Open) -> None:
    """The output's contract holds for the whole body: facts are in headers only."""
    door = open_door(Plan(rows=TEAM))
    got = door.post(PATH, {"text": "my invoice"})
    assert (got.status, got.body) == (200, b'{"team":"billing"}')
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-lockgate-outcome"] == "answered"
    assert got.headers["x-lockgate-cost-usd"] == "0"
    entry = door.entry()
    assert (entry.id, entry.surface) == (got.headers["x-request-id"], Surface.PREDICT)


@pytest.mark.parametrize("value", [None, 0, "x", [1, 2], {"a": {"b": None}}, 2**70])
def test_any_json_value_is_an_input(open_door: Open, value: object) -> None:
    """What the contract allows is the contract's business."""
    model = says(Answer(reply=RowsReply(output=value), target="small"))
    got = open_door(Plan(rows=model)).post(PATH, value)
    assert got.json() == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"NaN", "JSON"),
        (b"[1e999]", "JSON"),
        (b'"\xff"', "byte 0 of a string is not valid UTF-8"),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_400(door: Door, body: bytes, says: str) -> None:
    """A body that cannot be read is told so as problem details, and reaches no model."""
    got = door.send("POST", PATH, body)
    assert got.status == 400
    assert got.headers["content-type"] == "application/problem+json"
    problem = got.json()
    assert (problem["code"], problem["status"]) == ("invalid_request", 400)
    assert says in problem["detail"]
    assert problem["request_id"] == got.headers["x-request-id"]
    assert door.entries == []


def test_an_input_against_the_contract_is_400(open_door: Open) -> None:
    """The contract's findings are told, and the rejection is recorded."""
    contract = SchemaContract({"type": "object", "required": ["text"]})
    model = Model(TEAM.does)
    door = open_door(Plan(rows=model, bench={"contract_in": contract}))
    got = door.post(PATH, {})
    assert (got.status, got.json()["code"]) == (400, "invalid_request")
    assert "text" in got.json()["detail"]
    assert model.asked == []
    assert door.entry().outcome == "rejected"


def test_a_chat_service_is_pointed_to_its_own_url(door: Door) -> None:
    """Who calls a service at the wrong surface learns the right one, both ways."""
    got = door.post("/v1/services/assistant/predict", {})
    assert (got.status, got.json()["code"]) == (404, "model_not_found")
    assert "/v1/chat/completions" in got.json()["detail"]
    got = door.chat({"model": "router", "messages": [{"role": "user", "content": "x"}]})
    assert (got.status, got.error["code"]) == (404, "model_not_found")
    assert "/v1/services/router/predict" in got.error["message"]


def test_an_unknown_service_is_404_before_the_body_is_read(door: Door) -> None:
    """A name nobody knows is told without waiting for the body."""
    got = door.send("POST", "/v1/services/nobody/predict", b"not json")
    assert (got.status, got.json()["code"]) == (404, "model_not_found")


def test_a_failed_model_is_a_problem_that_names_it(open_door: Open) -> None:
    """A call that could not be answered says which model failed, as problem details."""
    door = open_door(Plan(rows=says(BackendGone("secret host", target="small"))))
    got = door.post(PATH, {})
    assert (got.status, got.json()["code"]) == (502, "upstream_gone")
    assert "model 'small'" in got.json()["detail"]
    assert b"secret host" not in got.body
    assert got.json()["type"] == "urn:lockgate:error:upstream_gone"


def test_an_honest_uncertain_is_a_200_that_says_so(open_door: Open) -> None:
    """The ladder's own words come back as the body, marked in the header."""
    bench = {"ladder": ("uncertain",), "says": {"team": None}}
    door = open_door(Plan(rows=says(BackendGone("x")), bench=bench))
    got = door.post(PATH, {})
    assert (got.status, got.json()) == (200, {"team": None})
    assert got.headers["x-lockgate-outcome"] == "uncertain"
    assert got.headers["x-lockgate-rung"] == "uncertain"
