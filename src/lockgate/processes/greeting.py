"""What a server says once it answers: where it is, and a call to try."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.manifest.schema import Manifest


def greeting(manifest: Manifest, url: str, *, has_key: bool) -> Iterator[str]:
    """Give the lines to print: the URLs, a curl line, and how to make the first key."""
    count = len(manifest.services)
    yield f"Lockgate serves {count} service{'' if count == 1 else 's'} on {url}"
    width = max(len(name) for name in manifest.services)
    for name, service in manifest.services.items():
        path = "chat/completions" if service.kind == "chat" else f"services/{name}/predict"
        yield f"  {name:<{width}}  POST {url}/v1/{path}"
    yield f"  {'also':<{width}}  GET  {url}/readyz  /metrics  /v1/models  /openapi.json"
    if not has_key:
        yield "No API key exists yet, so every call gets 401. Make one:"
        yield "  lockgate key create --tenant me"
    yield "Call it:"
    yield "  export LOCKGATE_KEY=lg-…   # the key that `lockgate key create --tenant me` shows"
    yield from _curl(manifest, url)


def _curl(manifest: Manifest, url: str) -> Iterator[str]:
    name, service = next(iter(manifest.services.items()))
    path, body = f"services/{name}/predict", "@input.json"
    if service.kind == "chat":
        path = "chat/completions"
        body = f'{{"model": "{name}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    yield f"  curl {url}/v1/{path} \\"
    yield '    -H "authorization: Bearer $LOCKGATE_KEY" -H "content-type: application/json" \\'
    yield f"    -d '{body}'"
