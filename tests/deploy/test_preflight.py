"""Preflight at a hospital before a front and Flower's own SuperLink, and with one thing wrong at a time."""

import errno
import json
import os
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from flwr.supercore.date import now
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.superlink.main import create_app

from deploy.front import service_app
from deploy.settings import write_settings
from deploy.site.findings import Finding, Standing, examine
from deploy.site.home import SiteHome, SiteSettings
from deploy.site.joined import Joined
from deploy.site.network_checks import MOST_FAST, MOST_SLOW, judged_clock
from deploy.site.preflight import checks
from deploy.site.way import Clock
from deploy.tls import ServerFiles
from tests.cohorts import add_lesion_patient
from tests.commands import willis
from tests.deploy.certificates_made import SERVER, Authority
from tests.deploy.ends import End, builtin_front, free_port, listening, tunnels

PATIENTS = 5
SECRET = ec.generate_private_key(ec.SECP384R1())
_ALL = ["centre", "DNS", "TCP", "our certificate", "TLS", "admission", "clock", "node"]
_HERE = ["policy", "terms", "cohort", "ledger", "elsewhere", "bundle", "disk", "memory", "GPU"]


@pytest.fixture(scope="module")
def superlink() -> FastAPI:
    """Flower's SuperLink, which knows our node."""
    app = create_app()
    app.state.enable_supernode_auth = True
    app.state.linkstate_factory.state().create_node("", "", public_key_to_bytes(SECRET.public_key()), 0)
    return app


@pytest.fixture(scope="module")
def front(superlink: FastAPI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    with builtin_front(tmp_path_factory.mktemp("centre"), superlink) as end:
        yield end


@pytest.fixture
def home(front: End, tmp_path: Path) -> SiteHome:
    """A hospital that has joined."""
    home = SiteHome(tmp_path / "hospital")
    home.keys.mkdir(parents=True)
    for kind in ("crt", "key"):
        shutil.copy(front.folder / f"site.{kind}", home.keys / f"tls.{kind}")
    shutil.copy(front.authority.crt, home.ca)
    (home.keys / "node").write_bytes(SECRET.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    where = f"localhost:{front.port}"
    centre = Joined(coordinator=where, ca="", signing_key="ab" * 32, delta=1e-5, overlap=1, name="stroke-net")
    home.joined.write_text(centre.model_dump_json())
    (home.path / "policy.toml").write_text('recipes = ["lesions-3d"]\n')
    for number in range(PATIENTS):
        add_lesion_patient(home.path / "cohort", f"sub-{number}", seed=number)
    change(home, name="a", cohort=Path("cohort"), coordinator=where)
    return home


def change(home: SiteHome, **values: object) -> None:
    """Write the settings with these values."""
    known = home.settings.model_dump() if home.settings_file.exists() else {}
    write_settings(home.settings_file, SiteSettings.model_validate(known | values))
    home.__dict__.pop("settings", None)


def findings(home: SiteHome) -> dict[str, Finding]:
    return dict(examine(checks(home)))


def standings(home: SiteHome) -> dict[str, str]:
    return {name: finding.standing.value for name, finding in findings(home).items()}


def wrong(home: SiteHome, name: str, said: str, skipped: list[str]) -> str:
    """Assert that one check fails, that those which rest on it are skipped and no other; return the remedy."""
    found = findings(home)
    assert found[name].standing is Standing.PROBLEM, found
    assert said in found[name].said + found[name].aside
    assert [n for n, f in found.items() if f.standing is Standing.SKIPPED] == skipped
    assert [n for n, f in found.items() if f.standing is Standing.PROBLEM] == [name]
    return found[name].remedy + found[name].aside


def test_all_is_well_at_a_hospital_that_has_joined(home: SiteHome) -> None:
    found = findings(home)
    assert list(found) == _ALL + _HERE
    assert {
        n: f for n, f in found.items() if f.standing is not Standing.OK and n not in ("bundle", "memory")
    } == {}
    assert found["centre"].said.startswith("stroke-net at localhost:")
    assert found["TLS"].said == "server, by test authority: 0 days left"
    assert "registered" in found["node"].said


def test_the_table_tells_patients_and_the_json_does_not(home: SiteHome) -> None:
    screen = willis("site", "--home", home.path, "preflight")
    script = willis("site", "--home", home.path, "preflight", "--json")
    assert (screen.status, script.status) == (0, 0)
    assert f"lesions-3d {PATIENTS}" in " ".join(" ".join(screen.said).split())
    read = json.loads("".join(script.said))
    assert [line["check"] for line in read] == _ALL + _HERE
    assert {line["result"] for line in read} <= {"OK", "WARNING"}
    cohort = next(line for line in read if line["check"] == "cohort")
    assert str(PATIENTS) not in cohort["found"]


def test_a_problem_is_the_exit_status(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text("max_epsilon = -1\n")
    assert willis("site", "--home", home.path, "preflight").status == 1
    assert willis("site", "--home", home.path, "preflight", "--json").status == 1


def test_a_hospital_that_has_not_joined(home: SiteHome) -> None:
    home.joined.unlink()
    assert "willis site request" in wrong(home, "centre", "no centre was joined", [*_ALL[1:], "terms"])


def test_a_name_that_leads_nowhere(home: SiteHome) -> None:
    change(home, coordinator="no-such-host.invalid:8443")
    remedy = wrong(home, "DNS", "no-such-host.invalid", ["TCP", "TLS", "admission", "clock", "node"])
    assert "DNS" in remedy


def test_an_address_that_is_none(home: SiteHome) -> None:
    change(home, coordinator="")  # of a hospital that has not joined, or that somebody emptied
    assert wrong(home, "DNS", "not host:port", ["TCP", "TLS", "admission", "clock", "node"]) == "correct it"


def test_a_port_that_is_closed(home: SiteHome) -> None:
    change(home, coordinator=f"localhost:{free_port()}")
    assert "ask the centre" in wrong(home, "TCP", "nobody listens", ["TLS", "admission", "clock", "node"])


def test_a_server_that_speaks_no_tls(home: SiteHome) -> None:
    with listening(service_app(), None) as port:
        change(home, coordinator=f"localhost:{port}")
        assert "port" in wrong(home, "TLS", "speaks no TLS", ["admission", "clock", "node"])


@pytest.mark.parametrize(
    ("valid", "names", "of_ours", "said"),
    [
        (timedelta(days=1), ("localhost",), False, "not of the centre that was joined"),
        (-timedelta(hours=1), ("localhost",), True, "has expired"),
        (timedelta(days=1), ("elsewhere",), True, "for another name"),
    ],
)
def test_a_server_that_is_not_the_centre(
    home: SiteHome, front: End, tmp_path: Path, valid: timedelta, names: tuple[str, ...], of_ours: bool, said: str
) -> None:
    authority = front.authority if of_ours else Authority(tmp_path / "other", front.authority.name)
    authority.issue(tmp_path, "server", SERVER, valid=valid, names=names)
    files = ServerFiles(tmp_path / "server.crt", tmp_path / "server.key")
    with listening(service_app(), files) as port:
        change(home, coordinator=f"localhost:{port}")
        assert wrong(home, "TLS", said, ["admission", "clock", "node"])


def test_a_server_that_hangs_up(home: SiteHome) -> None:
    with handshakes(None) as port:
        change(home, coordinator=f"localhost:{port}")
        assert "IT" in wrong(home, "TLS", "ended in the handshake", ["admission", "clock", "node"])


def test_our_certificate_has_expired(home: SiteHome, front: End) -> None:
    front.authority.issue(home.keys, "tls", valid=-timedelta(hours=1))
    remedy = wrong(home, "our certificate", "expired on", ["TLS", "admission", "clock", "node"])
    assert "willis site request" in remedy


def test_our_certificate_is_of_another_centre(home: SiteHome, tmp_path: Path) -> None:
    Authority(tmp_path / "other", "test authority").issue(home.keys, "tls")
    wrong(home, "our certificate", "not of the centre", ["TLS", "admission", "clock", "node"])


def test_our_certificate_was_not_renewed_in_time(home: SiteHome, front: End) -> None:
    front.authority.issue(home.keys, "tls", valid=timedelta(hours=6))  # of two days and more
    found = findings(home)["our certificate"]
    assert (found.standing, "should have been renewed" in found.remedy) == (Standing.WARNING, True)


def test_our_certificate_was_revoked(home: SiteHome, front: End) -> None:
    for kind in ("crt", "key"):
        shutil.copy(front.folder / f"revoked.{kind}", home.keys / f"tls.{kind}")
    assert "ring the centre" in wrong(home, "admission", "without an answer", ["clock", "node"])


def test_what_a_front_that_is_not_ours_says_of_our_certificate_is_passed_on(home: SiteHome, front: End) -> None:
    context = ServerFiles(
        front.folder / "server.crt", front.folder / "server.key", front.authority.crt, front.authority.crl
    ).context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 the word may come too late to be read
    for kind in ("crt", "key"):
        shutil.copy(front.folder / f"revoked.{kind}", home.keys / f"tls.{kind}")
    with handshakes(context) as port:
        change(home, coordinator=f"localhost:{port}")
        wrong(home, "TLS", "CERTIFICATE_REVOKED", ["admission", "clock", "node"])


def test_the_way_through_a_proxy(home: SiteHome) -> None:
    with tunnels() as (port, asked):
        change(home, proxy=f"http://127.0.0.1:{port}")
        assert {n: s for n, s in standings(home).items() if s != "OK" and n not in ("bundle", "memory")} == {}
    assert {line.split()[0] for line in asked} == {"CONNECT"}


def test_a_proxy_that_forbids(home: SiteHome) -> None:
    with tunnels(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as (port, _):
        change(home, proxy=f"http://127.0.0.1:{port}")
        remedy = wrong(home, "proxy", "403 Forbidden", ["TLS", "admission", "clock", "node"])
    assert "CONNECT" in remedy


@pytest.mark.parametrize(
    ("ahead", "standing"),
    [
        (0.2, Standing.OK),
        (-0.2, Standing.OK),
        (3.0, Standing.WARNING),
        (MOST_FAST + 1, Standing.PROBLEM),
        (-MOST_FAST - 1, Standing.WARNING),  # Flower bears a slow clock longer
        (-MOST_SLOW + 5, Standing.WARNING),
        (-MOST_SLOW - 1, Standing.PROBLEM),
        (-400, Standing.PROBLEM),
    ],
)
def test_flower_bears_a_slow_clock_longer_than_a_fast_one(ahead: float, standing: Standing) -> None:
    assert judged_clock(Clock(ahead, give=0.05)).standing is standing


def test_a_slow_network_makes_no_wrong_clock() -> None:
    assert judged_clock(Clock(ahead=MOST_FAST + 1, give=2)).standing is Standing.WARNING
    assert judged_clock(Clock(ahead=1.5, give=1.0)).standing is Standing.OK


@pytest.mark.parametrize(("ahead", "word"), [(6.0, "fast"), (-6.0, "slow"), (-400.0, "slow")])
def test_the_clock_is_told_from_that_of_the_centre(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch, ahead: float, word: str
) -> None:
    right = time.time_ns
    monkeypatch.setattr("deploy.front.time.time_ns", lambda: right() - int(ahead * 1e9))
    found = findings(home)["clock"]
    assert found.said.startswith(f"{abs(ahead):.1f} s {word}")
    assert found.standing is (Standing.WARNING if ahead == -6.0 else Standing.PROBLEM)


def test_a_node_that_flower_does_not_know(home: SiteHome) -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    (home.keys / "node").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    assert "approve" in wrong(home, "node", "no node with our key", [])


def test_a_node_without_its_key(home: SiteHome) -> None:
    (home.keys / "node").unlink()
    assert "willis site request" in wrong(home, "node", "not a readable key", [])


def test_a_node_whose_clock_flower_refuses(home: SiteHome, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = now() + timedelta(seconds=MOST_FAST + 1)
    monkeypatch.setattr("flwr.supernode.node_auth_http_interceptor.now", lambda: fast)
    assert "NTP" in wrong(home, "node", "refuses our signature", [])


def test_asking_for_the_node_changes_nothing_at_flower(home: SiteHome, superlink: FastAPI) -> None:
    nodes = superlink.state.linkstate_factory.state()
    before = nodes.get_node_info()
    assert findings(home)["node"].standing is Standing.OK
    assert nodes.get_node_info() == before


def test_a_superlink_that_is_down_leaves_the_node_unknown(
    home: SiteHome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    away = tmp_path_factory.mktemp("away")
    with builtin_front(away) as end:
        end.behind.status = 502
        for kind in ("crt", "key"):
            shutil.copy(away / f"site.{kind}", home.keys / f"tls.{kind}")
        shutil.copy(end.authority.crt, home.ca)
        change(home, coordinator=f"localhost:{end.port}")
        found = findings(home)["node"]
    assert (found.standing, found.said[:11]) == (Standing.WARNING, "cannot tell")


@pytest.mark.parametrize(("free", "standing"), [(10**7, Standing.PROBLEM), (5 * 10**8, Standing.WARNING)])
def test_a_disk_that_is_nearly_full(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch, free: int, standing: Standing
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - free, free))
    assert findings(home)["disk"].standing is standing


def test_memory_that_is_scarce(home: SiteHome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 2000000 kB\nMemAvailable: 1000000 kB\n")
    monkeypatch.setattr("deploy.site.folder_checks._MEMORY", tmp_path / "meminfo")
    found = findings(home)["memory"]
    assert (found.standing, found.said) == (Standing.WARNING, "1.0 GB available")


def test_a_policy_that_is_broken(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text("max_epsilom = 3\n")
    assert "known keys" in wrong(home, "policy", "max_epsilom", ["terms", "cohort"])


def test_a_policy_with_another_delta_than_the_federation(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text('delta = 1e-6\nrecipes = ["lesions-3d"]\n')
    assert "agree on one" in wrong(home, "terms", "δ is 1e-06 here and 1e-05", [])


def test_a_policy_for_simulations(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text('allow_seeded_noise = true\nrecipes = ["lesions-3d"]\n')
    assert findings(home)["policy"].standing is Standing.WARNING


def test_a_cohort_that_is_not_there(home: SiteHome) -> None:
    change(home, cohort=Path("elsewhere"))
    assert "site.toml" in wrong(home, "cohort", "missing or not readable", [])


def test_a_cohort_without_patients_for_what_is_allowed(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text('recipes = ["vessels-2d"]\n')
    assert wrong(home, "cohort", "no patients here", [])


def test_a_cohort_for_only_some_of_what_is_allowed(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text('recipes = ["lesions-3d", "vessels-2d"]\n')
    found = findings(home)["cohort"]
    assert (found.standing, found.said.partition(":")[0]) == (Standing.WARNING, "vessels-2d")


def test_a_cohort_of_which_any_recipe_will_do(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text("")
    found = findings(home)["cohort"]
    assert (found.standing, found.said) == (Standing.OK, "readable, for lesions-3d")


def test_a_cohort_smaller_than_the_policy_allows(home: SiteHome) -> None:
    (home.path / "policy.toml").write_text(f'recipes = ["lesions-3d"]\nmin_patients = {PATIENTS + 1}\n')
    assert "min_patients" in wrong(home, "cohort", "fewer patients", [])


def test_an_image_that_may_not_be_read(home: SiteHome, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "sub-3" not in str(path) and access(path, mode))
    assert "right to read" in wrong(home, "cohort", "sub-3", [])
    assert not named_in_json(home, "sub-3")


def named_in_json(home: SiteHome, word: str) -> bool:
    """Whether what a script gets holds `word`."""
    return word in "".join(willis("site", "--home", home.path, "preflight", "--json").said)


@pytest.mark.parametrize(
    ("name", "standing"),
    [
        ("sub-3_label-lesion_mask.nii", Standing.PROBLEM),
        ("sub-3_angio.nii", Standing.WARNING),
    ],  # one too many; one too few
)
def test_what_is_wrong_with_an_image_names_it_on_the_screen_alone(
    home: SiteHome, name: str, standing: Standing
) -> None:
    (home.path / "policy.toml").write_text('recipes = ["lesions-3d", "vessels-2d"]\n')
    (home.cohort / "sub-3" / "anat" / name).write_bytes(b"")
    found = findings(home)["cohort"]
    assert found.standing is standing
    assert "sub-3" in found.aside
    assert not named_in_json(home, "sub-3")


def test_a_folder_of_a_patient_that_may_not_be_entered_is_not_named_in_json(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(home.cohort / "sub-3"))

    monkeypatch.setattr("client.site.find_cohort", refuse)
    assert "sub-3" in findings(home)["cohort"].aside
    assert not named_in_json(home, "sub-3")


def test_a_folder_that_can_only_be_read(home: SiteHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**given: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(given["dir"]))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    assert "permissions" in wrong(home, "ledger", "Read-only file system", [])


def test_a_ledger_that_is_damaged(home: SiteHome) -> None:
    (home.path / ".willis").mkdir()
    (home.path / ".willis" / "ledger.sqlite").write_bytes(b"no database")
    assert wrong(home, "ledger", "ledger.sqlite", [])


@pytest.mark.parametrize("where", ["hospital/cohort", "second"])  # of a simulation; of another home
def test_images_whose_spending_is_also_kept_elsewhere(home: SiteHome, where: str) -> None:
    other = SiteHome(home.path.parent / where)
    other.ledger_file.parent.mkdir(parents=True)
    other.ledger_file.touch()
    if where == "second":
        write_settings(other.settings_file, SiteSettings(name="b", cohort=home.cohort))
    found = findings(home)["elsewhere"]
    assert (found.standing, found.said.partition(":")[0]) == (Standing.WARNING, str(other.ledger_file))


def test_a_bundle_that_was_approved_and_one_that_was_revoked(home: SiteHome) -> None:
    home.bundles.mkdir()
    lines = [("approved", "aa" * 32), ("approved", "bb" * 32), ("revoked", "aa" * 32), ("refused", "cc" * 32)]
    who = {"time": "2026-01-01T00:00:00Z", "person": "steward", "note": ""}
    decisions = "".join(json.dumps({"verb": verb, "hash": hash_} | who) + "\n" for verb, hash_ in lines)
    (home.bundles / "decisions.jsonl").write_text(decisions)
    assert findings(home)["bundle"] == Finding(Standing.OK, f"approved: {'bb' * 6}")


def test_decisions_that_are_damaged(home: SiteHome) -> None:
    home.bundles.mkdir()
    (home.bundles / "decisions.jsonl").write_text('{"verb": "appr\n')
    assert "restore" in wrong(home, "bundle", "decisions.jsonl:1: damaged", [])


@contextmanager
def handshakes(context: ssl.SSLContext | None) -> Iterator[int]:
    """Make handshakes, or none, and hang up after each; unlike asyncio's, a refusal says why. Yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_shake, args=(server, context))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _shake(server: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            plain, _ = server.accept()
        except OSError:
            return
        with plain, suppress(OSError):
            if context:
                context.wrap_socket(plain, server_side=True).close()
