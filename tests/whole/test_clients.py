"""The clients people already use, against real models behind a real server."""

from __future__ import annotations

import json
from collections.abc import Generator

import numpy as np
import openai
import pytest
import tritonclient.http as triton
from openai.types.chat import ChatCompletionMessageParam

from lockgate.demo.project import Sample
from lockgate.testing.server import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "When will my order arrive?"}]


@pytest.fixture
def client(desk: Served) -> Generator[openai.OpenAI]:
    """Make the SDK's client, with one URL changed and nothing else."""
    with openai.OpenAI(base_url=f"{desk.url}/v1", api_key=desk.key, max_retries=0) as made:
        yield made


def test_a_chat_is_answered_and_says_what_it_cost(client: openai.OpenAI) -> None:
    """Text, usage, and Lockgate's own facts beside them and in the headers."""
    raw = client.chat.completions.with_raw_response.create(
        model="assistant", messages=ASK, max_tokens=24
    )
    answer = raw.parse()

    assert answer.model == "assistant"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert raw.headers["x-lockgate-outcome"] in ("answered", "cached")
    assert float(raw.headers["x-lockgate-cost-usd"]) >= 0
    assert len(raw.headers["x-request-id"]) == 26


def test_a_stream_with_usage_ends_with_it(client: openai.OpenAI) -> None:
    """Chunks of text, then exactly one chunk with usage and no choices."""
    stream = client.chat.completions.create(
        model="assistant",
        messages=ASK,
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    assert with_usage == [chunks[-1]]
    assert chunks[-1].choices == []
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_json_schema_constrains_the_answer(client: openai.OpenAI) -> None:
    """The real model's text is JSON of the schema."""
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"urgent": {"type": "boolean"}},
        "required": ["urgent"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="assistant",
        messages=ASK,
        max_tokens=64,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "urgency", "schema": schema, "strict": True},
        },
    )

    assert isinstance(json.loads(answer.choices[0].message.content or "")["urgent"], bool)


def test_the_sdk_raises_what_it_would_raise_against_the_original(
    desk: Served, client: openai.OpenAI
) -> None:
    """A wrong key, an unknown model, an empty list of messages."""
    wrong = openai.OpenAI(base_url=f"{desk.url}/v1", api_key="lg-wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError) as key:
        wrong.chat.completions.create(model="assistant", messages=ASK)
    with pytest.raises(openai.NotFoundError) as model:
        client.chat.completions.create(model="gpt-9", messages=ASK)
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="assistant", messages=[])

    assert [error.value.code for error in (key, model, empty)] == [
        "invalid_api_key",
        "model_not_found",
        "empty_array",
    ]


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    """Chat services are models to an OpenAI client."""
    assert [model.id for model in client.models.list()] == ["assistant"]
    assert client.models.retrieve("assistant").id == "assistant"


@pytest.mark.parametrize("binary", [True, False])
def test_triton_gets_scikit_learns_numbers_to_the_last_bit(
    desk: Served, samples: tuple[Sample, ...], *, binary: bool
) -> None:
    """The same float64 bits come back over binary tensors and over JSON."""
    rows = np.array([list(sample.features.values()) for sample in samples], dtype=np.float64)
    headers = {"authorization": f"Bearer {desk.key}"}
    client = triton.InferenceServerClient(desk.url.removeprefix("http://"))
    told = client.get_model_metadata("screening", headers=headers)
    asked = triton.InferInput(told["inputs"][0]["name"], list(rows.shape), "FP64")
    asked.set_data_from_numpy(rows, binary_data=binary)
    wanted = [triton.InferRequestedOutput("predict_proba", binary_data=binary)]

    result = client.infer("screening", [asked], outputs=wanted, headers=headers)
    client.close()

    chances = result.as_numpy("predict_proba")
    assert chances is not None
    assert [float(row.max()) for row in chances] == [sample.sure for sample in samples]
