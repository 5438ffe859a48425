"""Flower's programs as Willis starts them: every flag and variable they need, in one place (flwr 1.41).

What goes without saying nowhere in Flower is said here: TLS and node authentication on, apps in processes of their
own that share a secret, loopback addresses, nothing installed at run time, no telemetry, no search for updates.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import UsageError
from shared.files import write_durably

LOOPBACK = "127.0.0.1"
CONNECTION = "willis"  # the SuperLink's name in Flower's config.toml
PATIENCE = 120.0  # seconds for one call of the `flwr` command; it takes about one
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def environment(flower_home: Path) -> dict[str, str]:
    """Return the environment of a Flower process: this one's, with Flower's own folder and nothing that calls out.

    Proxies are left out, for Flower only ever speaks to loopback, and the folder of this Python comes first on the
    path, for that is where SuperExec looks for the programs it starts.
    """
    kept = {key: value for key, value in os.environ.items() if key.lower() not in _PROXIES}
    return kept | {
        "FLWR_HOME": str(flower_home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "NO_PROXY": f"{LOOPBACK},localhost",
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        "PATH": os.pathsep.join([str(_programs()), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",  # logs are read line by line
    }


def superlink_command(flower_home: Path, *, port: int, certificate: Path, key: Path, ca: Path) -> list[str]:
    """Return the SuperLink's command line; its state lies in `flower_home` and outlives it.

    Args:
        flower_home: Flower's folder at the centre.
        port: where it listens, on loopback only: whoever reaches it may start runs.
        certificate: PEM, valid for 127.0.0.1.
        key: of the certificate, PEM.
        ca: that signed the certificate, PEM.
    """
    return [
        *(program("flower-superlink"), "--host", LOOPBACK, "--port", str(port)),
        *("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), "--ssl-ca-certfile", str(ca)),
        *("--database", str(flower_home / "superlink.db"), "--enable-supernode-auth"),
        *_isolated(flower_home),
        "--disable-runtime-dependency-installation",
    ]


def supernode_arguments(
    flower_home: Path,
    *,
    superlink_port: int,
    root_certificates: Path,
    node_key: Path,
    port: int,
    certificate: Path,
    key: Path,
    node: Mapping[str, str | int],
) -> list[str]:
    """Return the SuperNode's arguments; the program is `deploy.site.guard`, never Flower's own.

    Args:
        flower_home: Flower's folder at the hospital.
        superlink_port: loopback port of the sidecar, which carries everything to the centre.
        root_certificates: the sidecar's certificate, PEM.
        node_key: private key of the node, OpenSSH.
        port: where its SuperExec finds it, on loopback only.
        certificate: of that port, PEM, signed by itself.
        key: of the certificate, PEM.
        node: what `client.app` reads from Flower's node configuration.
    """
    return [
        *("--superlink", f"{LOOPBACK}:{superlink_port}", "--root-certificates", str(root_certificates)),
        *("--auth-supernode-private-key", str(node_key), "--host", LOOPBACK, "--port", str(port)),
        *("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), "--ssl-ca-certfile", str(certificate)),
        *("--node-config", config_text(node)),
        *_isolated(flower_home),
    ]


def superexec_command(flower_home: Path, *, port: int, root_certificates: Path, parent: int) -> list[str]:
    """Return the command line of SuperExec, which starts app processes for a SuperLink or a SuperNode.

    Nothing is installed at run time unless it is asked for, which SuperExec has no flag to forbid.

    Args:
        flower_home: that of the SuperLink or SuperNode, with the secret they share.
        port: of the SuperLink or SuperNode on loopback.
        root_certificates: that signed its certificate, PEM.
        parent: process without which SuperExec and its app processes end.
    """
    return [
        *(program("flower-superexec"), "--runtime-api-address", f"{LOOPBACK}:{port}"),
        *("--root-certificates", str(root_certificates), "--parent-pid", str(parent)),
        *("--superexec-auth-secret-file", str(shared_secret(flower_home))),
    ]


def shared_secret(flower_home: Path) -> Path:
    """Return the file of the secret without which nobody is given an app to run; made where it is missing."""
    path = flower_home / "superexec.secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        os.replace(temporary, path)
    return path


def config_text(values: Mapping[str, str | int]) -> str:
    """Return key-value pairs as Flower reads them from a command line.

    Flower cuts at quotes before it reads TOML, escaped ones too: what could end a value is written by its code.
    """
    return " ".join(f"{key}={_quoted(v) if isinstance(v, str) else v}" for key, v in values.items())


def write_connection(flower_home: Path, *, port: int, root_certificates: Path) -> None:
    """Write the config.toml by which the `flwr` command finds the SuperLink."""
    text = f"""[superlink]
default = "{CONNECTION}"

[superlink.{CONNECTION}]
address = "{LOOPBACK}:{port}"
root-certificates = {_quoted(str(root_certificates))}
"""
    write_durably(flower_home / "config.toml", text.encode())


@dataclass(frozen=True)
class Node:
    """A SuperNode that the SuperLink knows.

    Attributes:
        id: Flower's number of it.
        name: the site's.
        key: its public key, OpenSSH without a comment.
        status: registered, online, offline or unregistered; a key once unregistered is never taken again.
    """

    id: int
    name: str
    key: str
    status: str


@dataclass(frozen=True)
class SubmittedRun:
    """A run as the SuperLink tells of it.

    Attributes:
        id: Flower's number of it.
        status: pending, starting, running, finished:completed, finished:failed or finished:stopped.
        details: why it failed.
        bundle: SHA-256 of its app bundle, hexadecimal.
    """

    id: int
    status: str
    details: str
    bundle: str


def register(flower_home: Path, key: str, name: str) -> int:
    """Let a node with this public key (OpenSSH line) take part; return its number.

    Raises:
        UsageError: the SuperLink cannot be reached, or knows the key already (see `registered`).
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "node.pub"
        file.write_text(bare_key(key), encoding="ascii")
        answer = _flwr(flower_home, "supernode", "register", str(file), CONNECTION, "--name", name)
    return int(answer["node-id"])


def unregister(flower_home: Path, node: int) -> None:
    """Shut a node out, for good.

    Raises:
        UsageError: the SuperLink cannot be reached, or knows no such node.
    """
    _flwr(flower_home, "supernode", "unregister", str(node), CONNECTION)


def registered(flower_home: Path) -> list[Node]:
    """Return the nodes the SuperLink knows, those unregistered too.

    The `flwr` command leaves out names and keys, so this asks as it does, in its own interpreter.

    Raises:
        UsageError: the SuperLink cannot be reached.
    """
    said = _answer(flower_home, [sys.executable, "-m", "deploy.flower"], "the list of nodes")
    return [Node(**node) for node in said["nodes"]]


def submit(flower_home: Path, app: Path, run_folder: Path) -> int:
    """Start the run prepared in `run_folder` with the app in the folder `app`; return Flower's number of it.

    Raises:
        UsageError: the SuperLink cannot be reached or refuses.
    """
    settings = config_text({"run-folder": str(run_folder.resolve())})
    return int(_flwr(flower_home, "run", str(app), CONNECTION, "--run-config", settings)["run-id"])


def runs(flower_home: Path) -> list[SubmittedRun]:
    """Return all runs the SuperLink knows.

    Raises:
        UsageError: the SuperLink cannot be reached.
    """
    return [
        SubmittedRun(int(r["run-id"]), r["status"], r["status-details"], r["fab-hash"])
        for r in _flwr(flower_home, "list", CONNECTION)["runs"]
    ]


def stop(flower_home: Path, run: int) -> None:
    """Stop a run.

    Raises:
        UsageError: the SuperLink cannot be reached, or the run has ended.
    """
    _flwr(flower_home, "stop", str(run), CONNECTION)


def bare_key(line: str) -> str:
    """Return an OpenSSH public key without its comment."""
    return " ".join(line.split()[:2])


def program(name: str) -> str:
    """Return the path of a program of Flower, beside this Python."""
    return str(_programs() / name)


def _isolated(flower_home: Path) -> tuple[str, ...]:
    return ("--isolation", "process", "--superexec-auth-secret-file", str(shared_secret(flower_home)))


def _programs() -> Path:
    return Path(sys.executable).parent


def _quoted(text: str) -> str:
    safe = (c if c.isprintable() and c not in "\"'\\" else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(safe)}"'


def _flwr(flower_home: Path, *arguments: str) -> dict[str, Any]:
    command = [program("flwr"), *arguments, "--format", "json"]
    return _answer(flower_home, command, f"`flwr {' '.join(arguments[:2])}`")


def _answer(flower_home: Path, command: list[str], what: str) -> dict[str, Any]:
    """Run a command that answers in JSON, and return the answer.

    Raises:
        UsageError: it failed, as Flower puts it.
    """
    try:
        done = subprocess.run(
            command, env=environment(flower_home), capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as err:
        raise UsageError(f"{what}: no answer within {PATIENCE:g} s; is `willis coordinator up` running?") from err
    try:
        answer = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        answer = {"success": False, "error-message": f"{done.stdout}{done.stderr}"}
    if not answer.get("success"):
        said = " ".join(str(answer.get("error-message", "")).split())
        raise UsageError(f"{what}: {said or 'failed'}; is `willis coordinator up` running?")
    assert isinstance(answer, dict)
    return answer


def _list_nodes() -> dict[str, Any]:
    """Ask the SuperLink that `config.toml` names for its nodes."""
    from cryptography.hazmat.primitives import serialization as pem
    from flwr.cli.flower_config import read_superlink_connection
    from flwr.cli.utils import flwr_cli_exc_handler, init_http_client_from_connection
    from flwr.proto.control_pb2 import ListNodesRequest

    client = init_http_client_from_connection(read_superlink_connection(CONNECTION))
    try:
        with flwr_cli_exc_handler():
            nodes = client.ListNodes(ListNodesRequest()).nodes_info
    finally:
        client.close()
    line = (pem.Encoding.OpenSSH, pem.PublicFormat.OpenSSH)
    keys = [pem.load_pem_public_key(node.public_key).public_bytes(*line).decode() for node in nodes]
    return {
        "success": True,
        "nodes": [
            {"id": node.node_id, "name": node.name, "key": key, "status": node.status}
            for node, key in zip(nodes, keys, strict=True)
        ],
    }


if __name__ == "__main__":
    print(json.dumps(_list_nodes()))
