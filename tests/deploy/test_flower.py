import json
import stat
import tomllib
from pathlib import Path

import pytest
from flwr.common.config import parse_config_args
from hypothesis import given
from hypothesis import strategies as st

from deploy import flower
from shared.errors import UsageError


@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True), st.text() | st.integers(0, 2**62)))
def test_flower_reads_every_text_and_number_as_it_was(values: dict[str, str | int]) -> None:
    assert parse_config_args([flower.config_text(values)] if values else None) == values


def test_flowers_processes_call_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy:3128")
    environment = flower.environment(tmp_path)
    assert not [name for name in environment if name.lower() in ("https_proxy", "http_proxy", "all_proxy")]
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
    assert environment["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert environment["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"
    assert environment["FLWR_HOME"] == str(tmp_path)


def test_the_programs_take_what_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's own parsers read the command lines; a flag that it renamed or dropped ends in SystemExit."""
    from flwr.supercore.cli.flower_superexec import _parse_args as superexec
    from flwr.superlink.cli.flower_superlink import _parse_args_run_superlink as superlink
    from flwr.supernode.cli.flower_supernode import _parse_args_run_supernode as supernode

    crt, key = tmp_path / "c.crt", tmp_path / "c.key"
    centre = superlink().parse_args(
        flower.superlink_command(tmp_path, port=8000, certificate=crt, key=key, ca=crt)[1:]
    )
    assert (centre.host, centre.port, centre.isolation) == ("127.0.0.1", 8000, "process")
    assert centre.enable_supernode_auth
    assert centre.runtime_dependency_install is False
    site = supernode().parse_args(
        flower.supernode_arguments(
            tmp_path,
            superlink_port=8445,
            root_certificates=crt,
            node_key=key,
            port=9094,
            certificate=crt,
            key=key,
            node={"cohort": "/a b/\"c'"},
        )
    )
    assert (site.superlink, site.host, site.isolation) == ("127.0.0.1:8445", "127.0.0.1", "process")
    assert not site.insecure
    assert site.runtime_dependency_install is False
    assert parse_config_args([site.node_config]) == {"cohort": "/a b/\"c'"}
    runner = superexec().parse_args(
        flower.superexec_command(tmp_path, port=9094, root_certificates=crt, parent=7)[1:]
    )
    assert runner.superexec_auth_secret_file == centre.superexec_auth_secret_file
    assert runner.runtime_dependency_install is False
    assert runner.parent_pid == 7


def test_the_shared_secret_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = flower.shared_secret(tmp_path / "flower")
    secret = path.read_bytes()
    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert flower.shared_secret(tmp_path / "flower").read_bytes() == secret


def test_the_connection_is_one_that_the_flwr_command_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flwr.cli.flower_config import read_superlink_connection

    certificate = tmp_path / "ca of 'us'.crt"
    flower.write_connection(tmp_path, port=8123, root_certificates=certificate)
    monkeypatch.setenv("FLWR_HOME", str(tmp_path))
    connection = read_superlink_connection(flower.CONNECTION)
    assert (connection.address, connection.root_certificates) == ("127.0.0.1:8123", str(certificate))
    assert tomllib.loads((tmp_path / "config.toml").read_text())["superlink"]["default"] == flower.CONNECTION


def test_what_the_flwr_command_says_is_what_a_person_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "flwr"
    answer = json.dumps({"success": False, "error-message": "no\nSuperLink"}, indent=2)
    said.write_text(f"#!/bin/sh\necho noise\ncat <<'END'\n{answer}\nEND\n")
    said.chmod(0o755)
    monkeypatch.setattr(flower, "program", lambda name: str(said))
    with pytest.raises(
        UsageError, match=r"`flwr list willis`: no SuperLink; is `willis coordinator up` running\?"
    ):
        flower.runs(tmp_path)
