"""The commands, by name; a command's module is imported only when it runs."""

from __future__ import annotations

COMMANDS: dict[str, str] = {
    "calls": "lockgate.cli.calls:calls",
    "check": "lockgate.cli.check:check",
    "demo": "lockgate.cli.demo:demo",
    "doctor": "lockgate.cli.doctor:doctor",
    "explain": "lockgate.cli.explain:explain",
    "init": "lockgate.cli.init:init",
    "key": "lockgate.cli.key:key",
    "schema": "lockgate.cli.schema:schema",
    "serve": "lockgate.cli.serve:serve",
}
