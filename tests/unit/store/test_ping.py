"""What readiness says of a database that does not answer; strangers may read it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lockgate.core.errors import StoreError
from lockgate.store.address import Address
from lockgate.store.ping import Ping

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("secret", ["postgresql://someone@127.0.0.1:1/customers", "sqlite"])
async def test_where_the_database_is_stays_unsaid(tmp_path: Path, secret: str) -> None:
    """The message says that it cannot be read; everything else is in its cause."""
    url = secret if "://" in secret else f"sqlite:///{tmp_path / 'customers.db'}"
    with pytest.raises(StoreError) as raised:
        await Ping(Address(url), within_s=30.0)()
    assert str(raised.value) == "the database cannot be read"
    assert isinstance(raised.value.__cause__, StoreError)
    assert str(raised.value.__cause__) != str(raised.value)


async def test_a_database_that_is_too_slow() -> None:
    """The message says for how long it was waited, and not for whom."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = Address(f"postgresql://someone@127.0.0.1:{mute.getsockname()[1]}/customers")
        with pytest.raises(StoreError) as raised:
            await Ping(address, within_s=0.1)()
    assert str(raised.value) == "the database did not answer within 0.1 s"
    assert "customers" in "".join(getattr(raised.value.__cause__, "__notes__", ()))
