"""Front and sidecar as processes over homes, as `up` starts them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.coordinator.home import CoordinatorHome, CoordinatorSettings
from deploy.settings import write_settings
from deploy.site.home import SiteHome, SiteSettings
from tests.commands import willis
from tests.deploy.certificates_made import SERVER, Authority
from tests.deploy.ends import PULL, Recorder, client, free_port, listens, superlink, until
from tests.deploy.proxy_suite import needs_nginx

BOTH = pytest.mark.parametrize("served", ["builtin", pytest.param("nginx", marks=needs_nginx)])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "centre" / "ca")


@pytest.fixture
def link(authority: Authority) -> Iterator[int]:
    with superlink(authority, Recorder()) as port:
        yield port


def centre(authority: Authority, served: str, link: int) -> CoordinatorHome:
    home = CoordinatorHome(authority.folder.parent)
    authority.issue(home.tls, "server", SERVER)
    ports = {"port": free_port(), "service_port": free_port(), "superlink_port": link}
    values = {"name": "net", "hosts": ("localhost",), "listen": "127.0.0.1", "front": served} | ports
    write_settings(home.settings_file, CoordinatorSettings.model_validate(values))
    return home


def hospital(authority: Authority, served: str, port: int) -> SiteHome:
    home = SiteHome(authority.folder.parent.parent / "hospital")
    authority.issue(home.keys, "tls")
    Authority(home.path / "own").issue(home.keys, "local", SERVER)
    home.ca.write_bytes(authority.crt.read_bytes())
    values = {"name": "a", "cohort": "c", "coordinator": f"localhost:{port}", "sidecar": served}
    write_settings(home.settings_file, SiteSettings.model_validate(values | {"sidecar_port": free_port()}))
    return home


@contextmanager
def running(module: str, home: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-m", module, "--home", str(home)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), seconds=60)  # torch is loaded first
        yield process
    finally:
        process.terminate()
        process.wait()


@BOTH
@pytest.mark.deploy
def test_a_call_goes_through_both_processes_and_nothing_stays_behind(
    authority: Authority, link: int, served: str
) -> None:
    front, ca = centre(authority, served, link), authority.folder.parent.parent / "hospital" / "own" / "ca.crt"
    sidecar = hospital(authority, served, front.settings.port)
    near, far = sidecar.settings.sidecar_port, front.settings.port
    with (
        running("deploy.coordinator.front", front.path, far),
        running("deploy.site.sidecar", sidecar.path, near),
        client(near, ca, None) as node,
    ):
        assert node.post(PULL, content=b"four").content == b"four"
        assert set(node.get("/v1/willis/health").json()) == {"time_ms"}
    assert not listens(near)
    assert not listens(far)
    assert not listens(front.settings.service_port)


@needs_nginx
@pytest.mark.deploy
def test_an_nginx_that_outlived_its_keeper_is_replaced(authority: Authority, link: int) -> None:
    home = centre(authority, "nginx", link)
    authority.issue(home.tls, "site")
    with running("deploy.coordinator.front", home.path, home.settings.port) as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    with running("deploy.coordinator.front", home.path, home.settings.port):
        until(lambda: _health(home, authority) == 200)
    until(lambda: not listens(home.settings.port))


@needs_nginx
@pytest.mark.deploy
def test_a_front_whose_nginx_ends_ends_too(authority: Authority, link: int) -> None:
    home = centre(authority, "nginx", link)
    with running("deploy.coordinator.front", home.path, home.settings.port) as process:
        subprocess.run(["kill", (home.nginx / "nginx.pid").read_text().strip()], check=True)
        assert process.wait(10) == 1


@needs_nginx
def test_nginx_takes_the_configurations_that_the_commands_write(authority: Authority) -> None:
    front = centre(authority, "nginx", free_port())
    sidecar = hospital(authority, "nginx", front.settings.port)
    for kind, home in (("coordinator", front), ("site", sidecar)):
        printed = willis(kind, "--home", home.path, "nginx")
        written = willis(kind, "--home", home.path, "nginx", "--write")
        path = home.nginx / "nginx.conf"
        assert "proxy_ssl_verify on;" in "\n".join(printed.said)
        assert written.said[0].startswith(f"{path}: written")
        subprocess.run(["nginx", "-t", "-q", "-p", home.nginx, "-c", path, "-e", "stderr"], check=True)


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"coordinator": ""}, "run `willis site join` first"),
        ({"proxy": "http://proxy:3128"}, "nginx cannot go out through a proxy; set sidecar to builtin"),
        ({"coordinator": "10.0.0.1:8443"}, "nginx checks names in certificates, not addresses"),
        ({"coordinator": "[::1]:8443"}, "nginx checks names in certificates, not addresses"),
    ],
)
def test_what_nginx_cannot_do_is_said(authority: Authority, changed: dict[str, str], remedy: str) -> None:
    home = hospital(authority, "nginx", 8443)
    write_settings(home.settings_file, home.settings.model_copy(update=changed))
    assert remedy in willis("site", "--home", home.path, "nginx").sentence()


def test_a_path_that_nginx_cannot_be_told_of_is_said(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "a $variable" / "centre" / "ca")
    home = centre(authority, "nginx", 8000)
    assert "nginx cannot be told of this" in willis("coordinator", "--home", home.path, "nginx").sentence()


def _health(home: CoordinatorHome, authority: Authority) -> int:
    try:
        with client(home.settings.port, authority.crt, home.tls / "site") as site:
            return site.get("/v1/willis/health").status_code
    except httpx.TransportError:
        return 0
