"""The Python of the interface is what protoc makes of the .proto, and checking a run offline loads no gRPC."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROTO = "server/audit/service/audit.proto"


def test_the_generated_modules_are_what_the_proto_gives(tmp_path: Path) -> None:
    made = ("--python_out", tmp_path, "--pyi_out", tmp_path)
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT, *made, PROTO], check=True, cwd=ROOT)
    for suffix in (".py", ".pyi"):
        path = PROTO.replace(".proto", f"_pb2{suffix}")
        assert (ROOT / path).read_bytes() == (tmp_path / path).read_bytes(), "run `make proto`"


@pytest.mark.parametrize("words", [["verify", "--help"], ["explain", "--help"]], ids=str)
def test_the_offline_audit_loads_no_grpc(words: list[str]) -> None:
    code = (
        "import sys; from server.audit.command import audit\n"
        f"try: audit({words!r})\n"
        "except SystemExit: pass\n"
        "sys.exit('grpc' in sys.modules and 'grpc was loaded')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
