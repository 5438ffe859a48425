"""nginx in place of the built-in front and sidecar: the rules of `deploy.gate` in its own words.

The configuration (`nginx.conf.jinja`) needs no privilege: what nginx writes lies in a folder of ours.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import click
import jinja2

from deploy.front import FLEET, HEALTH
from deploy.gate import BODY_SECONDS, MOST_BYTES
from deploy.listener import HEAD_SECONDS, IDLE_SECONDS, MOST_CONNECTIONS
from deploy.requests import RENEWAL_PATH
from deploy.tls import ClientFiles, ServerFiles
from deploy.upstream import ANSWER_SECONDS, CONNECT_SECONDS, PASSED
from deploy.upstream import IDLE_SECONDS as KEPT_SECONDS
from shared.errors import UsageError
from shared.files import write_durably


@dataclass(frozen=True)
class Proxy:
    """What the nginx of one end does.

    Attributes:
        folder: of its process id and temporary files.
        listen: `address:port`.
        files: what it shows to clients, and asks of them.
        beyond: `host:port` where calls of nodes go.
        beyond_name: the name in the certificate there.
        towards: what it shows there, and whom it believes.
        own: `address:port` of the centre's own service; "" where its health is asked beyond, too.
    """

    folder: Path
    listen: str
    files: ServerFiles
    beyond: str
    beyond_name: str
    towards: ClientFiles
    own: str = ""

    @property
    def paths(self) -> list[Path]:
        """The files that nginx has to read anew when they change."""
        return [*self.files.paths, *self.towards.paths]


def configuration(proxy: Proxy) -> str:
    """Return the whole configuration, for `nginx -c`.

    Raises:
        UsageError: nginx can neither check an address in a certificate nor be told of some paths.
    """
    if _is_address(proxy.beyond_name):
        msg = "nginx checks names in certificates, not addresses"
        raise UsageError(f"{proxy.beyond}: {msg}; name the server, or use the built-in proxy")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = _quoted
    return environment.get_template("nginx.conf.jinja").render(
        proxy=proxy,
        folder=str(proxy.folder),
        headers=[name for name in PASSED if name != "content-length"],  # which nginx passes by itself
        fleet=FLEET,
        health=HEALTH,
        renew=RENEWAL_PATH,
        connections=MOST_CONNECTIONS,
        head_seconds=HEAD_SECONDS,
        body_seconds=BODY_SECONDS,
        idle_seconds=IDLE_SECONDS,
        kept_seconds=KEPT_SECONDS,
        connect_seconds=CONNECT_SECONDS,
        answer_seconds=ANSWER_SECONDS,
        most_bytes=MOST_BYTES,
    )


def show(proxy: Proxy, *, write: bool) -> None:
    """Print the configuration, or write it where `Nginx` would and say how to try it.

    Raises:
        UsageError: as `configuration`.
    """
    text = configuration(proxy)
    if not write:
        click.echo(text, nl=False)
        return
    path = proxy.folder / "nginx.conf"
    write_durably(path, text.encode())
    click.echo(f"{path}: written; try it with: nginx -t -p {proxy.folder} -c {path}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _quoted(value: object) -> str:
    """Return a parameter in quotes; nginx has no way to write a $ that is no variable."""
    text = str(value)
    if "$" in text or not text.isprintable():
        raise UsageError(f"{text!r}: nginx cannot be told of this; choose another name")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
