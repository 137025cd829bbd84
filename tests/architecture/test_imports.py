"""Who may import whom, as pyproject.toml says it."""

import subprocess
import sys

import pytest

from scripts.tree import ROOT

_HEAVY = (
    "numpy", "scipy", "sklearn", "skops", "xllamacpp", "sqlalchemy", "alembic", "psycopg",
    "pydantic", "ruamel", "rich", "cyclopts", "uvicorn", "uvloop", "re2", "jsonschema_rs",
    "prometheus_client",
)  # fmt: skip
_NOT_FOR_HELP = tuple(name for name in _HEAVY if name not in {"rich", "cyclopts"})
_LOADED = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def test_every_import_contract_holds() -> None:
    """Layers, forbidden imports and the ban on cycles hold for the code as it is now."""
    run = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import lockgate", _HEAVY),
        ("import lockgate.core.exchange, lockgate.core.ports, lockgate.core.entry", _HEAVY),
        ("from lockgate.cli.main import main; main(['--version'])", _HEAVY),
        ("from lockgate.cli.app import build; build().help_print([])", _NOT_FOR_HELP),
    ],
    ids=["lockgate", "core", "--version", "--help"],
)
def test_what_starts_often_loads_nothing_heavy(statement: str, heavy: tuple[str, ...]) -> None:
    """The package, its core, `--version` and `--help` load no library that takes long to load."""
    loaded = _loaded_after(statement)
    assert not loaded.intersection(heavy)


def _loaded_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; {_LOADED}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())
