"""`willis dataset steward`: who has to approve what leaves."""

from pathlib import Path

import click


@click.group()
def steward() -> None:
    """Make a steward's key; name or withdraw stewards. From the first one on, every release needs approval."""


@steward.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("name")
def keys(folder: Path, name: str) -> None:
    """Make the key of the steward NAME in FOLDER, on the steward's own machine; it stays there.

    \b
    Example:
      willis dataset steward keys ~/steward "Ada Meyer"
    """
    from server.dataset.releasing.stewards import KEY, PUBLIC, make_keys
    from shared.fingerprint import key_fingerprint

    made = make_keys(folder, name)
    click.echo(f"wrote     {folder / KEY}, which nobody else may have, and {folder / PUBLIC}")
    click.echo(f"read out  {key_fingerprint(made.public_key)}  (to the coordinator, by telephone)")
    click.echo(f"next      send {PUBLIC} to the coordinator: willis dataset steward name RUN NAME {PUBLIC}")


@steward.command()
@click.argument("place", metavar="RUN_OR_HOME", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fingerprint", help="As the steward read it to you; asked for where it is not given.")
def name(place: Path, name: str, file: Path, fingerprint: str | None) -> None:
    """Name the person NAME, whose public key is FILE, as a steward of the federation at RUN_OR_HOME.

    Ring them, at a number you know, and have them read the fingerprint that `willis dataset steward keys` showed.
    It is not shown here: what you type has to come from them.

    \b
    Example:
      willis dataset steward name run "Ada Meyer" steward.pub
    """
    from contextlib import closing

    from server.dataset.releasing.stewards import home_of, name_steward, read_public_key
    from shared.fingerprint import check_fingerprint

    key, home = read_public_key(file), home_of(place)
    said = fingerprint or click.prompt(f"The fingerprint that {name} reads to you")
    check_fingerprint(said, bytes.fromhex(key), f"{name}'s key")
    with closing(home.open_ledger()) as store:
        name_steward(store, home.identity, name, key)
    click.echo(f"named     {name}: from now on every release of this federation needs a steward's approval")


@steward.command()
@click.argument("place", metavar="RUN_OR_HOME", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("name")
def withdraw(place: Path, name: str) -> None:
    """Withdraw the steward NAME, whose key decides no more: one who leaves, or whose key was lost or stolen.

    What was approved stays approved. Releases go on needing approval, also when nobody is left to give it.
    """
    from contextlib import closing

    from server.dataset.releasing.stewards import home_of, withdraw_steward

    home = home_of(place)
    with closing(home.open_ledger()) as store:
        withdraw_steward(store, home.identity, name)
    click.echo(f"withdrew  {name}; releases of this federation go on needing a steward's approval")
