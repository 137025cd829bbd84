"""What is measured: how each gateway is set up and started before the canned upstream.

Each is given one worker and the gateway core. Lockgate's supervisor and steward share that core
with its worker: what they cost is part of what Lockgate costs.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from bench import pinned

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"
WORKER = "lockgate.processes.worker"
START_LIMIT = 120.0
"""Seconds a gateway may take until it answers its first call."""


class CannotStart(Exception):
    """A gateway did not come up; the message says why and where its log is."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Something that stands before the upstream, running.

    Attributes:
        worker: Part of the command line of the process that takes the calls; empty for all.
        process: None for the upstream itself.
    """

    name: str
    url: str
    key: str = ""
    worker: str = ""
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def pid(self) -> int:
        """The root of its process tree; 0 for the upstream itself."""
        return self.process.pid if self.process else 0


def upstream() -> Gateway:
    """Start the canned model on the load's core."""
    folder = _folder("upstream")
    log = folder / "log"
    process = pinned.start(
        [sys.executable, "-m", "bench.upstream"],
        core=pinned.LOAD_CORE,
        cwd=ROOT,
        log=log,
        env={"PYTHONUNBUFFERED": "1"},
    )
    ends = time.monotonic() + START_LIMIT
    while not (port := log.read_text().strip()):
        if process.poll() is not None or time.monotonic() > ends:
            raise CannotStart(f"the canned upstream did not start; see {log}")
        time.sleep(0.05)
    return Gateway("direct", f"http://127.0.0.1:{port}", process=process, log=log)


def envoy(upstream_url: str) -> Gateway:
    """Start Envoy as a plain HTTP proxy: one thread, no filters but the router, no access log."""
    folder = _folder("envoy")
    port, target = _free_port(), urlsplit(upstream_url)
    config = folder / "envoy.json"
    config.write_text(json.dumps(_envoy_config(port, target.port or 80), indent=1))
    binary = HOME / "tools" / "bin" / "envoy"
    words = [str(binary), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
    return _begin(Gateway("envoy", _url(port)), [*words, "--log-level", "error"], folder)


def litellm(upstream_url: str) -> Gateway:
    """Start LiteLLM's proxy: one worker, one model, a master key, no database."""
    folder = _folder("litellm")
    port, key = _free_port(), f"sk-{secrets.token_hex(16)}"
    config = folder / "config.json"
    config.write_text(json.dumps(_litellm_config(upstream_url, key), indent=1))
    words = [str(HOME / "litellm" / "bin" / "litellm"), "--config", str(config)]
    words += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    # Nothing is sent anywhere, and prices come from its own package, not from the network.
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    return _begin(Gateway("litellm", _url(port), key), words, folder, env)


def lockgate(upstream_url: str) -> Gateway:
    """Start Lockgate with everything on.

    Key, contract, guards both ways with personal data, cache, confidence, ladder, journal.
    """
    port = _free_port()
    manifest, key = project(upstream_url, port=port)
    words = [sys.executable, "-m", "lockgate", "serve", "--manifest", str(manifest)]
    return _begin(Gateway("lockgate", _url(port), key, WORKER), words, manifest.parent)


KINDS: dict[str, Callable[[str], Gateway]] = {
    "lockgate": lockgate,
    "envoy": envoy,
    "litellm": litellm,
}

CHAT_CONTRACT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["messages"],
    "properties": {
        "messages": {"type": "array", "minItems": 1, "maxItems": 50},
        "temperature": {"type": "number", "minimum": 0, "maximum": 1.5},
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": 4096},
    },
}


def stop(gateway: Gateway) -> None:
    """End a gateway and everything it started."""
    if gateway.process:
        pinned.stop(gateway.process)


def ask(gateway: Gateway) -> tuple[int, str]:
    """Send one chat; give the status (0 if nobody answers) and the body."""
    target = urlsplit(gateway.url)
    body = {"model": "assistant", "messages": [{"role": "user", "content": "Are you there?"}]}
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    line = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
    try:
        line.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = line.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        line.close()


def _begin(
    gateway: Gateway, words: list[str], folder: Path, env: Mapping[str, str] = MappingProxyType({})
) -> Gateway:
    """Start *gateway* and wait until it answers."""
    if not (binary := Path(words[0])).exists():
        raise CannotStart(f"{binary.relative_to(ROOT)} is missing; `make bench` installs it")
    log = folder / "log"
    process = pinned.start(words, core=pinned.GATEWAY_CORE, cwd=folder, log=log, env=env)
    gateway = replace(gateway, process=process, log=log)
    try:
        _wait(gateway)
    except BaseException:
        pinned.stop(process)
        raise
    return gateway


def _wait(gateway: Gateway) -> None:
    """Wait until *gateway* answers a chat.

    Raises:
        CannotStart: It ended, or did not answer within the limit.
    """
    assert gateway.process is not None
    ends = time.monotonic() + START_LIMIT
    status, body = 0, ""
    while time.monotonic() < ends:
        if gateway.process.poll() is not None:
            code = gateway.process.returncode
            raise CannotStart(f"{gateway.name} ended with code {code}; see {gateway.log}")
        status, body = ask(gateway)
        if status == 200:
            return
        time.sleep(0.2)
    raise CannotStart(f"{gateway.name} answers {status} {body[:300]}; see {gateway.log}")


def _folder(name: str) -> Path:
    """Make an empty folder for one gateway's files."""
    folder = HOME / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _envoy_config(port: int, upstream_port: int) -> dict[str, object]:
    http_api = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{http_api}.http.router.v3.Router"}
    connections = {
        "@type": f"{http_api}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                }
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    chain = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": connections,
    }
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream_port)}}]}],
        },
    }
    listener = {"address": _address(port), "filter_chains": [{"filters": [chain]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _litellm_config(upstream_url: str, key: str) -> dict[str, object]:
    model = {"model": "openai/canned", "api_base": f"{upstream_url}/v1", "api_key": "unused"}
    return {
        "model_list": [{"model_name": "assistant", "litellm_params": model}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "general_settings": {"master_key": key},
    }


def project(upstream_url: str, *, port: int, places: int = 64) -> tuple[Path, str]:
    """Write Lockgate's project with everything on, and make a key for it.

    Returns:
        Where its manifest is, and the key.
    """
    folder = _folder("lockgate")
    manifest = folder / "lockgate.yaml"
    written = _lockgate_manifest(port, upstream_url, places)
    manifest.write_text(json.dumps(written, indent=1))
    (folder / "chat.schema.json").write_text(json.dumps(CHAT_CONTRACT))
    return manifest, _lockgate_key(manifest)


def _lockgate_manifest(port: int, upstream_url: str, places: int) -> dict[str, object]:
    """Write the manifest as JSON, which YAML contains."""
    return {
        "version": 1,
        "project": "bench",
        "serve": {"port": port, "workers": 1},
        "models": {
            "canned": {
                "kind": "openai",
                "url": f"{upstream_url}/v1",
                "model": "canned",
                "price": {"input": "0.15 USD/1M", "output": "0.60 USD/1M"},
            }
        },
        "services": {
            "assistant": {
                "kind": "chat",
                "targets": ["canned"],
                "ladder": [{"uncertain": "A colleague will come back to you."}],
                "confidence": {"signal": "logprob", "at_least": "1%"},
                "contract": {"input": "chat.schema.json"},
                "guards": {
                    "in": ["invisible", "injection", "secrets", "pii"],
                    "out": ["invisible", "secrets", "pii"],
                },
                "cache": {"fresh": "10m"},
                "limits": {"concurrent": places},
            }
        },
    }


def _lockgate_key(manifest: Path) -> str:
    words = [sys.executable, "-m", "lockgate", "key", "create", "--tenant", "bench", "--json"]
    made = subprocess.run(
        [*words, "--manifest", str(manifest)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise CannotStart(f"`lockgate key create` said: {made.stderr or made.stdout}")
    key: str = json.loads(made.stdout)["key"]
    return key
