"""`lockgate check`: say everything that is wrong with a manifest, or that it is fine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lockgate.core.errors import ManifestError
from lockgate.manifest.findings import Finding, in_order, rendered
from lockgate.manifest.load import Examination, Loaded, examine
from lockgate.manifest.written import resolved as resolved_values

INVALID = 2


def check(
    path: Path = Path("lockgate.yaml"),
    *,
    env: str | None = None,
    resolved: Annotated[bool, Parameter(negative="")] = False,
    deep: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Check a manifest: form, references, secrets in plain sight, rules that can never match.

    Exit code 0 if it can be served, 2 if not; secrets that are not set here are warnings. Every
    environment is checked, or the one named.

    Example: `lockgate check --env production --resolved`

    Args:
        path: The manifest, or the folder that it is in.
        env: Check with the overlay of this environment only.
        resolved: Print the manifest with the overlay merged in and every default.
        deep: Also compare the digests of model files; reads them whole.
        as_json: Print the findings as a JSON list on stdout.
    """
    path = path / "lockgate.yaml" if path.is_dir() else path
    examined = examine(path, env=env, environ=os.environ, deep=deep)
    findings = _everywhere(path, examined) if env is None else examined.findings
    findings = in_order((*findings, *examined.unset()))
    wrong = [finding for finding in findings if finding.severity == "error"]
    if as_json:
        print(json.dumps([_facts(finding, path) for finding in findings], indent=2))
        return INVALID if wrong else 0
    for finding in findings:
        if finding.severity == "warning":
            print(rendered(finding, examined.source) + "\n", file=sys.stderr)
    if wrong or examined.loaded is None:
        raise ManifestError(tuple(_report(wrong, examined, path)))
    print(_yaml(examined.loaded) if resolved else _summary(examined.loaded, path))
    return 0


def _everywhere(path: Path, base: Examination) -> tuple[Finding, ...]:
    """Add what is wrong in one environment only; keep those warnings that hold in all of them."""
    findings = list(base.findings)
    for name in base.environments:
        there = examine(path, env=name, environ=os.environ).findings
        findings = [f for f in findings if f.severity == "error" or f in there]
        findings += [
            replace(finding, message=f"{finding.message} (in environment `{name}`)")
            for finding in there
            if finding.severity == "error" and finding not in base.findings
        ]
    return in_order(findings)


def _report(wrong: Iterable[Finding], examined: Examination, path: Path) -> Iterable[str]:
    shown = [rendered(finding, examined.source) for finding in wrong]
    yield from shown
    if len(shown) > 1:
        yield f"{path} has {len(shown)} errors; what each code means: docs/manifest.md"


def _facts(finding: Finding, path: Path) -> dict[str, object]:
    return {
        "file": str(path),
        "line": finding.at.line,
        "col": finding.at.column,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "help": finding.help,
    }


def _summary(loaded: Loaded, path: Path) -> str:
    manifest = loaded.manifest
    where = f" in environment {loaded.environment}" if loaded.environment else ""
    counts = _count(len(manifest.services), "service"), _count(len(manifest.models), "model")
    return f"{path} is fine{where}: {counts[0]}, {counts[1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _yaml(loaded: Loaded) -> str:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    writer.dump(resolved_values(loaded.manifest), stream)
    return stream.getvalue().rstrip("\n")
