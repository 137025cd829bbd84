"""Open Inference V2 with Triton's own client, and by hand."""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from lockgate.core.errors import BackendGone
from lockgate.core.exchange import Answer, Evidenced, Signal
from lockgate.core.payload import Tensor, Tensors, TensorsReply
from lockgate.core.ports import Ask
from tests.api.conftest import Open
from tests.api.door import KEY, Door, Model, Plan, says


def auth() -> dict[str, str]:
    """Make the header with the key, anew each time: Triton's client writes into its argument."""
    return {"authorization": f"Bearer {KEY}"}


PATH = "/v2/models/screening/infer"


async def _echoes(ask: Ask) -> Answer:
    request = ask.request
    assert isinstance(request, Tensors)
    outputs = tuple(msgspec.structs.replace(tensor, name="y") for tensor in request.inputs)
    return Answer(
        reply=TensorsReply(outputs=outputs), target="small", raw=Evidenced(probabilities=(0.75,))
    )


@pytest.fixture
def echo() -> Model:
    """Make a model that gives back what it got, as `y`."""
    return Model(_echoes)


@pytest.fixture
def door(open_door: Open, echo: Model) -> Door:
    """Open a door before the echo."""
    return open_door(Plan(rows=echo, bench={"signal": Signal.PROBABILITY}))


@pytest.fixture
def client(door: Door) -> Generator[triton.InferenceServerClient]:
    """Connect Triton's client."""
    client = triton.InferenceServerClient(f"127.0.0.1:{door.port}")
    yield client
    client.close()


ARRAYS = [
    (np.array([[0.1, -1e300], [np.pi, np.nextafter(1.0, 2.0)]]), "FP64"),
    (np.array([0.1, 3.4e38], dtype=np.float32), "FP32"),
    (np.array([0.5, 65504], dtype=np.float16), "FP16"),
    (np.array([-(2**63), 2**63 - 1]), "INT64"),
    (np.array([[1], [2]], dtype=np.int8), "INT8"),
    (np.array([2**64 - 1], dtype=np.uint64), "UINT64"),
    (np.array([True, False]), "BOOL"),
    (np.array(["grüße", "", "a\nb"], dtype=object), "BYTES"),
    (np.zeros((0, 3)), "FP64"),
]


@pytest.mark.parametrize("sent_binary", [True, False])
@pytest.mark.parametrize("asked_binary", [True, False, None])
@pytest.mark.parametrize(
    ("array", "datatype"), ARRAYS, ids=[f"{kind}-{array.size}" for array, kind in ARRAYS]
)
def test_numbers_come_back_to_the_last_bit(
    client: triton.InferenceServerClient,
    array: np.ndarray[Any, Any],
    datatype: str,
    sent_binary: bool,
    asked_binary: bool | None,
) -> None:
    """Every datatype survives both ways, in JSON and in binary, without losing a bit."""
    if datatype == "FP16" and not sent_binary:
        pytest.skip("tritonclient itself cannot send FP16 as JSON")
    tensor = triton.InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=sent_binary)
    wanted = (
        None
        if asked_binary is None
        else [triton.InferRequestedOutput("y", binary_data=asked_binary)]
    )
    got = client.infer("screening", [tensor], outputs=wanted, headers=auth()).as_numpy("y")
    assert got is not None
    if datatype == "BYTES":
        texts = [x.decode() if isinstance(x, bytes) else x for x in got.ravel()]
        assert texts == list(array.ravel())
    else:
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        assert got.tobytes() == array.tobytes()


def test_the_answer_tells_its_facts(client: triton.InferenceServerClient) -> None:
    """Outcome, confidence and cost are parameters of the response; the id is the caller's."""
    tensor = triton.InferInput("x", [1], "FP64")
    tensor.set_data_from_numpy(np.ones(1))
    got = client.infer(
        "screening", [tensor], model_version="r1", headers=auth(), request_id="mine"
    ).get_response()
    assert got["id"] == "mine"
    assert got["model_name"] == "screening"
    assert got["model_version"] == "r1"
    assert got["parameters"] == {"outcome": "answered", "cost_usd": "0", "confidence": 0.75}


def test_an_unsure_answer_keeps_its_numbers_and_says_so(open_door: Open, echo: Model) -> None:
    """`uncertain` is told beside the numbers, in headers and parameters."""
    bench = {"signal": Signal.PROBABILITY, "floor": 0.8, "ladder": ("uncertain",)}
    door = open_door(Plan(rows=echo, bench=bench))
    got = door.post(PATH, {"inputs": [tensor()]})
    assert got.status == 200
    assert got.headers["x-lockgate-outcome"] == "uncertain"
    assert got.headers["x-lockgate-confidence"] == "0.7500"
    assert got.json()["parameters"]["outcome"] == "uncertain"
    assert got.json()["outputs"][0]["data"] == [1.0, 2.0]


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    """Triton's client finds the server live and ready, and the model with its tensors."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("screening", headers=auth())
    assert client.is_model_ready("screening", "r1", headers=auth())
    assert not client.is_model_ready("screening", "r2", headers=auth())
    assert not client.is_model_ready("nobody", headers=auth())
    server = client.get_server_metadata()
    assert (server["name"], server["extensions"]) == ("lockgate", ["binary_tensor_data"])
    model = client.get_model_metadata("screening", headers=auth())
    assert model["versions"] == ["r1"]
    assert model["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]


def test_errors_are_what_tritons_client_reads(
    client: triton.InferenceServerClient, open_door: Open
) -> None:
    """The client raises its own exception, with the message and the status."""
    with pytest.raises(InferenceServerException, match="You didn't provide") as caught:
        client.get_model_metadata("screening")
    assert caught.value.status() == "401"
    with pytest.raises(InferenceServerException, match="takes no tensors"):
        client.get_model_metadata("router", headers=auth())
    with pytest.raises(InferenceServerException, match="has no version `7`"):
        client.get_model_metadata("screening", "7", headers=auth())
    with pytest.raises(InferenceServerException, match="does not exist"):
        client.get_model_metadata("nobody", headers=auth())
    broken = open_door(Plan(rows=says(BackendGone("x", target="small"))))
    got = broken.post(PATH, {"inputs": [tensor()]})
    assert got.status == 502
    assert list(got.json()) == ["error"]
    assert "model 'small' could not be reached" in got.json()["error"]


def tensor(**more: Any) -> dict[str, Any]:
    """Make an input that is right but for *more*; None leaves a field out."""
    made = {"name": "x", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0], **more}
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": "x"}, "Expected `array`"),
        ({"inputs": [tensor(name=None)]}, "missing required field `name`"),
        ({"inputs": [tensor(datatype="FP99")]}, "'FP99' is none of"),
        ({"inputs": [tensor(shape=[3])]}, "means 3 elements, data has 2"),
        ({"inputs": [tensor(shape=[-1])]}, "none of them negative"),
        ({"inputs": [tensor(shape=[2.5])]}, "Expected `int`"),
        ({"inputs": [tensor(shape=[10**18, 10**18])]}, "data has 2"),
        ({"inputs": [tensor(shape=[1] * 40)]}, "shape"),
        ({"inputs": [tensor(data=["a", "b"])]}, "not every element is a FP64"),
        ({"inputs": [tensor(data=[True, 1.0])]}, "not every element"),
        ({"inputs": [tensor(data=[None, 1.0])]}, "not every element"),
        ({"inputs": [tensor(data=5)]}, "data is not a list"),
        ({"inputs": [tensor(data=[[1.0], 2.0])]}, "not every element"),
        ({"inputs": [tensor(shape=[1, 2], data=[[1.0], 2.0])]}, "neither flat nor nested"),
        ({"inputs": [tensor(datatype="INT8", data=[1, 300])]}, "an element is no INT8"),
        ({"inputs": [tensor(datatype="INT64", data=[1, 1.5])]}, "an element is no INT64"),
        ({"inputs": [tensor(datatype="UINT8", data=[1, -1])]}, "an element is no UINT8"),
        ({"inputs": [tensor(datatype="FP32", data=[1, 1e39])]}, "an element is no FP32"),
        ({"inputs": [tensor(datatype="BOOL", data=[1, 0])]}, "not every element is a BOOL"),
        ({"inputs": [tensor(datatype="BYTES", data=[1, "a"])]}, "not every element is a BYTES"),
        ({"inputs": [tensor(data=None)]}, "give either 'data'"),
        ({"inputs": [tensor(), tensor()]}, "same name"),
        ({"inputs": [tensor(parameters={"binary_data_size": 16})]}, "0 bytes are left"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "r"})]}, "is not supported"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]},
            "'binary_data' is not true or false",
        ),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"classification": 2}}]},
            "'classification' is not supported",
        ),
    ],
)
def test_what_does_not_agree_never_reaches_the_model(
    door: Door, echo: Model, body: dict[str, Any], says: str
) -> None:
    """Datatype, shape and data are held against each other before any model is asked."""
    got = door.post(PATH, body)
    assert got.status == 400, got.body
    assert says in got.json()["error"]
    assert echo.asked == []


def binary(raw: bytes, size: int | None = None, **more: Any) -> tuple[bytes, int]:
    """Write a request whose one input follows as raw bytes; give it and its JSON's length."""
    parameters = {"binary_data_size": len(raw) if size is None else size}
    head = msgspec.json.encode({"inputs": [tensor(data=None, parameters=parameters, **more)]})
    return head + raw, len(head)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (binary(bytes(15)), "takes 16 bytes, the binary data has 15"),
        (binary(bytes(16), 8), "takes 16 bytes, the binary data has 8"),
        (binary(bytes(16), 99), "16 bytes are left"),
        (binary(bytes(16), -1), "16 bytes are left"),
        (binary(b"\x05\0\0\0abc", datatype="BYTES", shape=[1]), "ends within an element"),
        (binary(b"\x05\0", datatype="BYTES", shape=[1]), "ends within an element's length"),
        (binary(b"\x01\0\0\0\xff", datatype="BYTES", shape=[1]), "is not UTF-8"),
        (binary(b"\x01\0\0\0a", datatype="BYTES", shape=[2]), "means 2 elements"),
        ((binary(bytes(16))[0] + b"more", binary(bytes(16))[1]), "4 bytes follow"),
        ((b"{}", 5), "not a number of bytes within the body"),
        ((b"{}", "x"), "not a number of bytes within the body"),
    ],
)
def test_binary_that_does_not_agree_never_reaches_the_model(
    door: Door, echo: Model, request_: tuple[bytes, int | str], says: str
) -> None:
    """Lengths of binary tensors are held against datatype and shape."""
    body, length = request_
    got = door.send("POST", PATH, body, inference_header_content_length=str(length))
    assert got.status == 400, got.body
    assert says in got.json()["error"]
    assert echo.asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs":NaN}', b"[" * 100_000])
def test_what_is_not_json_is_400(door: Door, body: bytes) -> None:
    """A body that cannot be read is told so in the protocol's own form."""
    got = door.send("POST", PATH, body)
    assert got.status == 400
    assert list(got.json()) == ["error"]


def test_nested_data_is_laid_out_row_by_row(door: Door) -> None:
    """JSON data may be nested as its shape is."""
    got = door.post(PATH, {"inputs": [tensor(shape=[2, 1, 2], data=[[[1, 2]], [[3, 4]]])]})
    assert got.json()["outputs"][0]["data"] == [1, 2, 3, 4]


def test_only_the_outputs_asked_for_are_given(open_door: Open) -> None:
    """A caller may ask for some outputs, each in its own form."""
    outputs = tuple(
        Tensor(name=name, datatype="FP64", shape=(1,), data=[float(place)])
        for place, name in enumerate("abc")
    )
    door = open_door(Plan(rows=says(Answer(reply=TensorsReply(outputs=outputs), target="small"))))
    asked = [{"name": "c", "parameters": {"binary_data": True}}, {"name": "a"}]
    got = door.post(PATH, {"inputs": [tensor()], "outputs": asked})
    length = int(got.headers["inference-header-content-length"])
    told = msgspec.json.decode(got.body[:length])
    assert [output["name"] for output in told["outputs"]] == ["a", "c"]
    assert told["outputs"][0]["data"] == [0.0]
    assert got.body[length:] == struct.pack("<d", 2.0)
    assert got.headers["content-type"] == "application/octet-stream"
