"""Where the house can be reached: the listening socket, and who may be let near it."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.errors import LockgateError

BACKLOG = 2048
_LISTENING = "0A"  # state TCP_LISTEN in /proc/net/tcp


class CannotListen(LockgateError):
    """The address cannot be listened on."""

    code = "cannot_listen"


class PortTaken(CannotListen):
    """Another process listens there already."""

    code = "port_taken"


class UnsafeBind(LockgateError):
    """The door would be open to other machines, and nobody needs a key."""

    code = "unsafe_bind"


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved address to listen on."""

    family: socket.AddressFamily
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Only this machine can reach it."""
        return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback

    @property
    def url(self) -> str:
        """The base URL; an address that means every interface is written as loopback."""
        shown = self.host
        if ipaddress.ip_address(shown.partition("%")[0]).is_unspecified:
            shown = "127.0.0.1"
        return f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a port."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


def resolve(host: str, port: int) -> Address:
    """Resolve *host*; for a name with several addresses IPv4 comes first.

    Raises:
        CannotListen: The name means nothing.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(
            f"the host {host!r} cannot be resolved ({error.strerror}): correct `serve.host`, or "
            "`--host`"
        ) from error
    family, _, _, _, place = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return Address(family, str(place[0]), port)


def refuse_unguarded(address: Address, *, has_key: bool) -> None:
    """Refuse an address that other machines can reach as long as there is no API key.

    Raises:
        UnsafeBind: It is one, and there is none.
    """
    if address.loopback or has_key:
        return
    raise UnsafeBind(
        f"refusing to listen on {address.host}: other machines can reach it, and no API key "
        "exists.\n  rule:    anything but loopback needs at least one API key\n"
        "  setting: `serve.host` (or `--host`); 127.0.0.1 needs no key\n"
        "  to go on: lockgate key create --tenant NAME"
    )


def listen(address: Address) -> socket.socket:
    """Listen on *address*; the socket is inherited by nobody unless it is passed on.

    Raises:
        CannotListen: The system says no; `PortTaken` if somebody is there already.
    """
    door = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        door.bind((address.host, address.port))
        door.listen(BACKLOG)
        door.setblocking(False)  # noqa: FBT003 — the standard library's own signature
    except OSError as error:
        door.close()
        raise _explained(error, address) from error
    return door


def bound(door: socket.socket) -> Address:
    """Give the address a socket really has, also if port 0 was asked for."""
    host, port = door.getsockname()[:2]
    return Address(door.family, host, port)


def _explained(error: OSError, address: Address) -> CannotListen:
    place = f"port {address.port} on {address.host}"
    mend = f"choose another with `--port {address.port + 1}` or `serve.port`"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(address.port)
        return PortTaken(f"{place} is taken by {holder or 'another process'}: end it, or {mend}")
    if error.errno == errno.EACCES:
        return CannotListen(f"{place} needs privileges that this user lacks: {mend}")
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotListen(
            f"{address.host} is not an address of this machine: correct `serve.host`, or `--host`"
        )
    return CannotListen(f"cannot listen on {place}: {error.strerror}")


def holder_of(port: int, proc: Path = Path("/proc")) -> Holder | None:
    """Find who listens on *port*, as far as /proc and this user's rights tell (Linux only)."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    if not sockets:
        return None
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").strip()
                return Holder(int(process.name), command.decode(errors="replace")[:120])
    return None


def _listening(port: int, proc: Path) -> Iterator[str]:
    """List the inodes of sockets in state LISTEN on *port* (proc(5), /proc/net/tcp)."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
