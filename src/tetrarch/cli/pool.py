"""``tetrarch pool``: stake pools of a chain: their keys; registered, delegated to, retired, by fragments that an account pays for."""

import json
from typing import Annotated

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.ledger_keys import NodeFolder, PassphraseFile, pool_keys
from tetrarch.cli.ledger_options import AsJson, Folder, KeyFile, Url, key_option
from tetrarch.cli.node_questions import DEFAULT_URL
from tetrarch.errors import ConfigInvalid

app = typer.Typer(
    help="Stake pools of a chain: registered, delegated to, retired.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PoolArgument = Annotated[str, typer.Argument(metavar="POOL", help="64 hexadecimal digits.")]


@app.callback()
def group() -> None:
    """Stake pools of a chain."""


@app.command()
@run_command
def keys(
    folder: NodeFolder,
    account: Annotated[
        str,
        typer.Argument(metavar="ACCOUNT", help="That operates the pool: 64 hexadecimal digits."),
    ],
    serial: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of several pools of one account.")
    ] = 0,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Print the public keys of an account's pool, in the enclave of a node that does not run. Made at the first time.

    Example: tetrarch pool keys node0 $(tetrarch ledger account operator)

    Exit codes: 0, 65 damaged keys, 66 no passphrase file, 73 the folder is in use or cannot be written, 78 no account.
    """
    told = pool_keys(folder, account, serial, passphrase_file)
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(f"pool      {told['pool']}")
    for name in ("vrf_key", "kes_key", "vote_key"):
        typer.echo(f"{name:<9} {told[name]}")


@app.command()
@run_command
def register(
    key_file: KeyFile,
    folder: Folder,
    vrf_key: Annotated[str, typer.Option(help="As `tetrarch pool keys` prints it.")],
    kes_key: Annotated[str, typer.Option(help="As `tetrarch pool keys` prints it.")],
    vote_key: Annotated[
        str, typer.Option(help="Of the pool's node, as `tetrarch pool keys` prints it.")
    ],
    kes_start_slot: Annotated[
        int, typer.Option(min=0, help="The chain's slot from which on its evolving key is in use.")
    ] = 0,
    serial: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of several pools of one account.")
    ] = 0,
    tax_fixed: Annotated[int, typer.Option(min=0, help="Of an epoch's reward, to its owners.")] = 0,
    tax_ratio_millionth: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Of the rest.")
    ] = 0,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Register a pool that the account operates; it is drawn two epochs later, if it has stake.

    Example: tetrarch pool register --key-file operator --folder node0 --vrf-key ab... --kes-key cd... --vote-key ef...

    Exit codes: 0, 65 it cannot hold, and why, 66 no key or token, 69 nobody answers, 77 not its token, 78 no such keys.
    """
    from tetrarch.cli.fragments import account_of, read_account_key, send  # noqa: PLC0415
    from tetrarch.ledger.fragments.pool_register import PoolRegister  # noqa: PLC0415
    from tetrarch.ledger.pools import Tax, pool_id  # noqa: PLC0415

    key = read_account_key(key_file)
    body = PoolRegister(
        serial=serial,
        vrf_key=key_option("--vrf-key", vrf_key),
        kes_key=key_option("--kes-key", kes_key),
        vote_key=key_option("--vote-key", vote_key),
        kes_start_slot=kes_start_slot,
        tax=Tax(tax_fixed, tax_ratio_millionth),
    )
    sent = send(body, key, url=url, folder=folder)
    pool = pool_id(account_of(key), serial).hex()
    told = {"pool": pool, **sent.to_json()}
    typer.echo(json.dumps(told) if as_json else f"pool {pool}, fragment {sent.fragment}")


@app.command()
@run_command
def delegate(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="64 hexadecimal digits, or `none`.")],
    key_file: KeyFile,
    folder: Folder,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Have an account's value count for a pool, or for none.

    Example: tetrarch pool delegate ab12... --key-file account --folder node0

    Exit codes: 0, 65 it cannot hold, and why, 66 no key or token, 69 nobody answers, 77 not its token, 78 no id.
    """
    from tetrarch.cli.fragments import read_account_key, send  # noqa: PLC0415
    from tetrarch.ledger.fragments.delegate import Delegate  # noqa: PLC0415
    from tetrarch.ledger.headers import PoolId  # noqa: PLC0415

    to = None if pool == "none" else PoolId(key_option("POOL", pool))
    sent = send(Delegate(to), read_account_key(key_file), url=url, folder=folder)
    typer.echo(json.dumps(sent.to_json()) if as_json else f"fragment {sent.fragment}")


@app.command()
@run_command
def retire(
    pool: PoolArgument,
    key_file: KeyFile,
    folder: Folder,
    epoch: Annotated[int, typer.Option(min=1, help="It is gone when this epoch begins.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Retire a pool that the account operates or owns; who delegates to it does so to none then.

    Example: tetrarch pool retire ab12... --epoch 7 --key-file operator --folder node0

    Exit codes: 0, 65 it cannot hold, and why, 66 no key or token, 69 nobody answers, 77 not its token, 78 no id.
    """
    from tetrarch.cli.fragments import read_account_key, send  # noqa: PLC0415
    from tetrarch.ledger.fragments.pool_retire import PoolRetire  # noqa: PLC0415
    from tetrarch.ledger.headers import PoolId  # noqa: PLC0415

    if epoch >= 2**32:
        raise ConfigInvalid("read option", option="--epoch", maximum=2**32 - 1)
    body = PoolRetire(PoolId(key_option("POOL", pool)), epoch)
    sent = send(body, read_account_key(key_file), url=url, folder=folder)
    typer.echo(json.dumps(sent.to_json()) if as_json else f"fragment {sent.fragment}")
