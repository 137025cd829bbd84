"""`lockgate key`: keys are shown once, listed without secrets, and taken back for good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.core.errors import Unauthenticated
from lockgate.store.address import Address
from lockgate.store.keyring import Keyring
from tests.unit.cli.project import Project, a_project


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """Give a project without a database."""
    return a_project(tmp_path, capsys)


def _ring(project: Project) -> Keyring:
    ring = Keyring(Address(project.url))
    ring.refresh()
    return ring


def test_a_new_key_is_all_that_is_on_stdout(project: Project) -> None:
    """The key can be piped; that it cannot be shown again is said beside it. It works at once."""
    ran = project.run("key", "create", "--tenant", "acme")
    secret = ran.out.strip()
    assert (ran.code, ran.out) == (0, f"{secret}\n")
    assert "cannot be shown again" in ran.err
    assert "until it is revoked" in ran.err
    caller = _ring(project)(secret)
    assert (caller.tenant, caller.services) == ("acme", frozenset())


def test_a_key_can_be_for_some_services_and_some_time(project: Project) -> None:
    """What was asked for is what the key is good for."""
    words = ("--service", "assistant", "--service", "router", "--expires", "30d", "--note", "ci")
    ran = project.run("key", "create", "--tenant", "acme", "--json", *words)
    made = json.loads(ran.out)
    assert set(made) == {"id", "key", "expires_at"}
    assert _ring(project)(made["key"]).services == {"assistant", "router"}
    (listed,) = json.loads(project.run("key", "list", "--json").out)
    assert listed["services"] == ["assistant", "router"]
    assert (listed["note"], listed["state"]) == ("ci", "valid")
    assert listed["expires_at"] == made["expires_at"] > listed["created_at"]


def test_a_service_that_is_not_there_is_refused(project: Project) -> None:
    """A slip of the pen does not make a key that opens nothing."""
    ran = project.run("key", "create", "--tenant", "acme", "--service", "asistant")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean 'assistant'" in ran.err
    assert (
        "there are: assistant, router"
        in project.run("key", "create", "--tenant", "acme", "--service", "zzz").err
    )
    assert not (project.root / ".lockgate").exists()


@pytest.mark.parametrize("words", [("--tenant", " "), ("--tenant", "a", "--expires", "soon"), ()])
def test_a_wrong_wish_is_a_usage_error(project: Project, words: tuple[str, ...]) -> None:
    """No tenant, or a time that is none: nothing is made, and the code is 2 or 1 as for usage."""
    ran = project.run("key", "create", *words)
    assert (ran.code in {1, 2}, ran.out) == (True, "")
    assert not (project.root / ".lockgate").exists()


def test_a_revoked_key_is_no_key(project: Project) -> None:
    """It is refused from then on, and still listed."""
    made = json.loads(project.run("key", "create", "--tenant", "acme", "--json").out)
    ran = project.run("key", "revoke", made["id"])
    assert (ran.code, ran.out) == (0, "")
    with pytest.raises(Unauthenticated):
        _ring(project)(made["key"])
    assert [key["state"] for key in json.loads(project.run("key", "list", "--json").out)] == [
        "revoked"
    ]
    again = project.run("key", "revoke", made["id"])
    assert (again.code, "lockgate key list" in again.err) == (3, True)


def test_the_whole_key_names_it_too(project: Project) -> None:
    """Who pastes the key rather than its id revokes it all the same, and it is not repeated."""
    secret = project.run("key", "create", "--tenant", "acme").out.strip()
    ran = project.run("key", "revoke", secret)
    assert ran.code == 0
    assert secret[14:] not in ran.out + ran.err


def test_the_table_shows_no_secret_and_no_control_characters(project: Project) -> None:
    """A note cannot paint the operator's terminal."""
    secret = project.run("key", "create", "--tenant", "acme", "--note", "a\x1b[31mb").out.strip()
    ran = project.run("key", "list")
    assert "acme" in ran.out
    assert "\x1b" not in ran.out
    assert secret[14:] not in ran.out


def test_no_keys_is_said(project: Project) -> None:
    """An empty list says how to make the first."""
    ran = project.run("key", "list")
    assert (ran.code, ran.out) == (0, "")
    assert "lockgate key create" in ran.err
    assert project.run("key", "list", "--json").out == "[]\n"


def test_each_environment_has_its_store(project: Project) -> None:
    """`--env` chooses whose keys are meant."""
    project.run("key", "create", "--tenant", "acme", "--env", "other")
    assert (project.root / "other.db").exists()
    assert json.loads(project.run("key", "list", "--json").out) == []
    assert len(json.loads(project.run("key", "list", "--json", "--env", "other").out)) == 1


def test_no_manifest_is_said(project: Project) -> None:
    """The missing file is named, with the code for a wrong manifest."""
    (project.root / "lockgate.yaml").unlink()
    ran = project.run("key", "list")
    assert (ran.code, "lockgate.yaml" in ran.err) == (2, True)
