"""The tables, as the newest migration leaves them.

Times are nanoseconds since 1970 UTC; money is whole pico-dollars; lists are JSON text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("segment", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("service", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("release", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("first_output", Double),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("ended", Text, nullable=False),
    Column("rung", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("confidence", Double),
    Column("cost", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("attempts", Text, nullable=False),
    Column("verdicts", Text, nullable=False),
    Column("trail", Text, nullable=False),
    UniqueConstraint("segment", "offset"),
    Index(None, "received_at", "id"),
    Index(None, "service", "received_at"),
    Index(None, "outcome", "received_at"),
)
"""The ledger: one row per finished call, told apart by where in which segment it stood."""

segments = Table(
    "segments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("damaged", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
)
"""How far each journal segment has been taken into the ledger."""

keys = Table(
    "keys",
    metadata,
    Column("public_id", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("services", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
"""API keys: public id and salted hash; the secret itself is nowhere."""

generation = Table(
    "generation",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""One number that grows with every change of what is live."""
