"""The worker's side of scikit-learn models; the runner's is in `estimator.py`.

Takes JSON (an object of features) and Open Inference tensors, which travel as raw bytes both
ways: the numbers are the estimator's, to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from lockgate.ai.models import frames
from lockgate.ai.models.elements import raw
from lockgate.ai.models.hosted import Hosted, read
from lockgate.core.errors import BackendRejected, InputRejected
from lockgate.core.exchange import Answer, Evidenced
from lockgate.core.payload import Reply, Rows, RowsReply, Tensors, TensorsReply
from lockgate.core.ports import Ask


class Metadata(NamedTuple):
    """The tensors a model takes and gives."""

    inputs: tuple[frames.TensorForm, ...]
    outputs: tuple[frames.TensorForm, ...]


class SklearnBackend:
    """Asks an estimator in a runner."""

    def __init__(self, name: str, hosted: Hosted) -> None:
        self._name = name
        self.hosted = hosted

    async def answer(self, ask: Ask) -> Answer:
        request = ask.request
        if isinstance(request, Rows):
            reply = await self.hosted.ask("rows", request, ask.deadline)
            output = RowsReply(output=read(reply, object, self._name))
            return self._answer(output, reply)
        if isinstance(request, Tensors):
            reply = await self.hosted.ask("tensors", self._packed(request), ask.deadline)
            return self._answer(read(reply, TensorsReply, self._name), reply)
        message = "a scikit-learn model takes JSON or tensors, not messages"
        raise BackendRejected(message, target=self._name)

    async def metadata(self) -> Metadata:
        """Tell what tensors the model takes and gives, -1 standing for any number of rows.

        Raises:
            BackendError: No runner could say.
        """
        described = await self.hosted.describe()
        return Metadata(described.inputs, described.outputs)

    async def ready(self) -> bool:
        return await self.hosted.ready()

    async def close(self) -> None:
        await self.hosted.close()

    def _answer(self, output: Reply, reply: frames.Reply) -> Answer:
        evidence = Evidenced(probabilities=reply.probabilities)
        return Answer(reply=output, target=self._name, raw=evidence)

    def _packed(self, request: Tensors) -> Tensors:
        try:
            inputs = tuple(msgspec.structs.replace(t, data=raw(t)) for t in request.inputs)
        except InputRejected as error:
            error.target = self._name
            raise
        return msgspec.structs.replace(request, inputs=inputs)
