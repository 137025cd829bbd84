"""What a manifest may say: the types of `lockgate.yaml`, their defaults and their words.

Every field's docstring becomes the manifest reference (`docs/manifest.md`) and the editor's help.
Only form is checked here; what needs two places of the manifest at once is in `check.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from lockgate.manifest.units import (
    DURATION_PATTERN,
    MONEY_PATTERN,
    RATE_PATTERN,
    SHARE_PATTERN,
    SIZE_PATTERN,
    parse_bytes,
    parse_duration,
    parse_money,
    parse_rate,
    parse_share,
)


def _as_written(pattern: str, **number: Any) -> WithJsonSchema:
    """Describe to editors what a parser accepts: text of this form, and numbers if they may be."""
    forms: list[dict[str, Any]] = [{"type": "string", "pattern": f"^{pattern}$"}]
    return WithJsonSchema({"anyOf": [*forms, number]} if number else forms[0])


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    _as_written(DURATION_PATTERN, type="number", exclusiveMinimum=0),
]
"""Seconds; written `250ms`, `8s`, `10m`, `24h`, `7d`."""
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    Field(ge=0, le=1),
    _as_written(SHARE_PATTERN, type="number", minimum=0, maximum=1),
]
"""A share between 0 and 1; written `80%` or `0.8`."""
Size = Annotated[
    int,
    BeforeValidator(parse_bytes),
    Field(gt=0),
    _as_written(SIZE_PATTERN, type="integer", minimum=1),
]
"""Bytes; written `512KB`, `10MB`."""
Money = Annotated[Decimal, BeforeValidator(parse_money), _as_written(MONEY_PATTERN)]
"""US dollars; written `0.02 USD`."""
TokenRate = Annotated[Decimal, BeforeValidator(parse_rate), _as_written(RATE_PATTERN)]
"""US dollars per token; written `0.15 USD/1M`."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""Lower-case letters, digits, `-` and `_`, beginning with a letter."""


class Section(BaseModel):
    """Base of every section: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class EnvSecret(Section):
    """A secret taken from an environment variable."""

    env: str
    """Name of the variable."""


class FileSecret(Section):
    """A secret read from a file; a trailing newline is dropped."""

    file: str
    """Path of the file."""


Secret = EnvSecret | FileSecret


class Price(Section):
    """What a model costs; the parts add up. Free if left out."""

    input: TokenRate = Decimal(0)
    """Per token of the prompt, e.g. `0.15 USD/1M`."""
    output: TokenRate = Decimal(0)
    """Per token of the answer, e.g. `0.60 USD/1M`."""
    per_call: Money = Decimal(0)
    """Per call, e.g. `0.0001 USD`."""
    per_hour: Money = Decimal(0)
    """Per hour the model works on calls, e.g. `0.02 USD`; for models on your own machines."""


class Timeouts(Section):
    """How long one attempt at a model may take; the call's own deadline always wins."""

    connect: Duration = 2.0
    """Until the connection stands."""
    first_token: Duration = 30.0
    """Until output begins."""
    total: Duration = 120.0
    """Until output is complete."""


class ModelBase(Section):
    """What every kind of model has."""

    price: Price = Price()
    """What it costs."""
    timeouts: Timeouts = Timeouts()
    """How long one attempt may take."""


class LlamaModel(ModelBase):
    """A language model in a GGUF file, served by llama.cpp in a runner of its own."""

    kind: Literal["llama"]
    """`llama`."""
    file: str
    """The GGUF file; `package:NAME/FILE` takes it from an installed Python package."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of the file, checked before the first byte is parsed."""
    replicas: int = Field(default=1, ge=1, le=64)
    """How many runners to start."""
    context: int = Field(default=4096, ge=256)
    """Tokens of context of each parallel call."""
    parallel: int = Field(default=2, ge=1, le=64)
    """Calls that one runner answers at once."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of one runner; by default one less than the machine has cores, at most 8."""


class OpenAIModel(ModelBase):
    """A language model behind any URL that speaks OpenAI's protocol."""

    kind: Literal["openai"]
    """`openai`."""
    url: str = Field(pattern=r"^https?://")
    """The base URL, e.g. `https://llm.example.com/v1`."""
    model: str
    """What the model is called there."""
    key: Secret | None = None
    """The API key, as a reference: `{env: NAME}` or `{file: path}`."""
    connections: int = Field(default=256, ge=1)
    """Connections that one worker opens at most."""


class SklearnModel(ModelBase):
    """A scikit-learn estimator in a skops file, in a runner of its own."""

    kind: Literal["sklearn"]
    """`sklearn`."""
    file: str
    """The `.skops` file."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of the file, checked before the first byte is parsed."""
    trust: tuple[str, ...] = ()
    """Types beyond skops' own list that the file may contain, e.g. `sklearn.tree._tree.Tree`."""
    features: tuple[str, ...] = ()
    """Names of the columns, in order; by default those the estimator was trained with."""
    labels: tuple[str, ...] = ()
    """What to call the classes, in the estimator's order; by default as it calls them."""
    replicas: int = Field(default=1, ge=1, le=64)
    """How many runners to start."""


class FunctionModel(ModelBase):
    """A Python function, sync, async or an async generator, in a runner of its own."""

    kind: Literal["function"]
    """`function`."""
    call: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """`module:attribute`; the manifest's folder is on the import path."""
    replicas: int = Field(default=1, ge=1, le=64)
    """How many runners to start."""


Model = Annotated[
    LlamaModel | OpenAIModel | SklearnModel | FunctionModel, Field(discriminator="kind")
]

Trouble = Literal["error", "timeout", "overload", "low_confidence", "contract"]
"""What a rung takes over on.

`error` it failed · `timeout` it was too slow · `overload` it or the service was too busy ·
`low_confidence` it was not sure enough · `contract` its answer did not match the contract."""

ALL_TROUBLE: tuple[Trouble, ...] = ("error", "timeout", "overload", "low_confidence", "contract")


class TargetRung(Section):
    """Ask another model."""

    target: Name
    """Name of the model."""
    on: tuple[Trouble, ...] = ALL_TROUBLE
    """On what this rung takes over."""


class CacheRung(Section):
    """Give an earlier answer to the same question, also if it is no longer fresh."""

    cache: Literal["stale"]
    """`stale`."""
    up_to: Duration = 86400.0
    """How old it may be."""
    on: tuple[Trouble, ...] = ALL_TROUBLE
    """On what this rung takes over."""


class UncertainRung(Section):
    """Say honestly that there is no certain answer."""

    uncertain: str | dict[str, Any]
    """What to say: a sentence for chats, a JSON object for predictions."""
    on: tuple[Trouble, ...] = ALL_TROUBLE
    """On what this rung takes over."""


Rung = TargetRung | CacheRung | UncertainRung


class Confidence(Section):
    """From what an answer's confidence is derived, and how much of it is enough."""

    signal: Literal["probability", "logprob"]
    """`probability`: the largest class probability. `logprob`: the geometric mean of the token
    probabilities."""
    at_least: Share = 0.0
    """Answers below this are not good enough: the ladder takes over."""


GuardName = Literal["injection", "secrets", "pii", "invisible"]
Action = Literal["mend", "refuse"]


class Guards(Section):
    """What is looked for in texts, on the way in and on the way out.

    An entry is a name (`secrets`) or a name with what to do (`{secrets: refuse}`).
    """

    inward: tuple[GuardName | dict[GuardName, Action], ...] = Field(
        default=("invisible", "injection", "secrets"), alias="in"
    )
    """Screens the caller's texts."""
    outward: tuple[GuardName | dict[GuardName, Action], ...] = Field(
        default=("invisible", "secrets"), alias="out"
    )
    """Screens the answers, streams included."""


class ContractFiles(Section):
    """JSON Schema files that inputs and outputs must match."""

    input: str | None = None
    """For the caller's input."""
    output: str | None = None
    """For the answer; models that can are constrained by it."""


class Limits(Section):
    """How much the service takes on; each worker has its share of `concurrent` and `queue`."""

    concurrent: int = Field(default=64, ge=1)
    """Calls in flight at once, over all workers."""
    queue: int = Field(default=256, ge=0)
    """Calls that may wait for a place; the next one is told to come back."""
    body: Size = 10_000_000
    """Largest request body."""


class CacheSection(Section):
    """Exact answers again to exact questions, within one tenant and one release."""

    fresh: Duration
    """How long an answer may be given again."""
    entries: int = Field(default=10_000, ge=1)
    """Answers kept per worker."""


class Service(Section):
    """One AI capability: who owns it, what it promises, and what it does instead of failing."""

    kind: Literal["chat", "predict"]
    """`chat`: messages in, a message out. `predict`: JSON or tensors in and out."""
    purpose: str = ""
    """What it is for, in a sentence."""
    owner: str = ""
    """Whom to ask."""
    prompt: str | None = None
    """File with the instructions that go before every call."""
    targets: tuple[Name, ...] = Field(min_length=1)
    """Models that may answer, tried in this order."""
    ladder: tuple[Rung, ...] = ()
    """What happens instead of failing, in order."""
    confidence: Confidence | None = None
    """How sure an answer must be."""
    contract: ContractFiles = ContractFiles()
    """The form of inputs and outputs."""
    guards: Guards = Guards()
    """What texts are screened for."""
    cache: CacheSection | None = None
    """Exact cache; off if left out."""
    limits: Limits = Limits()
    """How much it takes on."""
    deadline: Duration = 30.0
    """How long a call may take, unless the caller allows less."""


class Serve(Section):
    """Where the front door stands."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs at least one API key."""
    port: int = Field(default=8470, ge=0, le=65535)
    """Port to listen on."""
    workers: int = Field(default=1, ge=1, le=256)
    """Worker processes."""
    quote_errors: bool = False
    """Show on stderr what exceptions and llama.cpp say, which may quote callers; else only where it
    happened. For developing."""


class Manifest(Section):
    """The whole of `lockgate.yaml`, checked for form."""

    version: Literal[1]
    """Of the manifest's format: 1."""
    project: Name = "lockgate"
    """Name of the project."""
    store: str | EnvSecret | FileSecret = "sqlite:///.lockgate/lockgate.db"
    """Database URL: SQLite by default, `postgresql://…` when outgrown."""
    serve: Serve = Serve()
    """Where the front door stands."""
    models: dict[Name, Model] = Field(min_length=1)
    """What can answer, by name."""
    services: dict[Name, Service] = Field(min_length=1)
    """What is offered, by name."""
    environments: dict[Name, dict[str, Any]] = {}
    """Overlays by environment: the same structure, merged over the rest with `--env NAME`."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        """Treat a section that is present but empty as one that was left out."""
        if isinstance(value, dict):
            return {key: part for key, part in value.items() if part is not None}
        return value
