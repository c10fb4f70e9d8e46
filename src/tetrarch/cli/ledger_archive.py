"""Part of ``tetrarch ledger``: a chain as one file."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.ledger_options import AsJson

archive = typer.Typer(rich_markup_mode=None)


@archive.command(name="export")
@run_command
def export_chain(
    folder: Annotated[Path, typer.Argument(help="The node's folder.")],
    out: Annotated[Path, typer.Option(help="Where the file goes.")],
    as_json: AsJson = False,
) -> None:
    """Write all final blocks of a node that does not run into one file.

    Example: tetrarch ledger export node0 --out chain.archive

    Exit codes: 0, 65 what is stored is damaged, 73 the node runs, or the file cannot be written.
    """
    from tetrarch.ledger.archive import export_blocks  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.ledger.store import SCHEMA, LedgerDamaged, LedgerStore  # noqa: PLC0415
    from tetrarch.ledger_node import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.storage.database import Database  # noqa: PLC0415
    from tetrarch.storage.errors import cannot_create  # noqa: PLC0415

    path = folder / DATABASE_FILE
    if not path.exists():
        raise LedgerDamaged("export ledger", path=path, reason="there is no such file")
    partial = out.with_name(out.name + ".part")  # so that what stands under its name is whole

    async def main() -> int:
        database = Database.open(path, (SCHEMA,))
        try:
            with partial.open("wb") as file:
                return await export_blocks(LedgerStore(database), file, on_progress=_tell_of)
        finally:
            await database.close()

    try:
        blocks = asyncio.run(main())
        partial.replace(out)
    except OSError as error:
        raise cannot_create("export ledger", out, error) from None
    told = {"blocks": blocks, "bytes": out.stat().st_size, "file": str(out)}
    typer.echo(
        json.dumps(told) if as_json else f"{blocks} final blocks, {told['bytes']} bytes, in {out}"
    )


@archive.command(name="import")
@run_command
def import_chain(
    file: Annotated[Path, typer.Argument(help="As `ledger export` wrote it.")],
    folder: Annotated[Path, typer.Argument(help="The folder of a node that does not run.")],
    block0: Annotated[Path, typer.Option("--genesis", help="The chain's first block.")],
    as_json: AsJson = False,
) -> None:
    """Verify all blocks of a file, and begin, or bring forward, a node's chain with them. Nothing in it is believed.

    Example: tetrarch ledger import chain.archive node4 --genesis block0

    Exit codes: 0, 65 a block does not hold (those before it are there), or it is another chain's, 66 there is no such file,
    73 the node runs, or the folder cannot be written.
    """
    from tetrarch.cli.files import open_file, read_block0  # noqa: PLC0415
    from tetrarch.clock import SystemClock  # noqa: PLC0415
    from tetrarch.compute import ThreadCompute  # noqa: PLC0415
    from tetrarch.ledger.archive import (  # noqa: PLC0415
        ArchiveInvalid,
        first_of,
        import_blocks,
        read_archive,
    )
    from tetrarch.ledger.chain import LedgerChain  # noqa: PLC0415
    from tetrarch.ledger.ports import LedgerPorts  # noqa: PLC0415
    from tetrarch.ledger.store import SCHEMA, LedgerStore  # noqa: PLC0415
    from tetrarch.ledger_node import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.observability.logs import LastSaid  # noqa: PLC0415
    from tetrarch.storage.database import Database  # noqa: PLC0415
    from tetrarch.storage.folders import make_folder  # noqa: PLC0415

    first = read_block0(block0)
    make_folder(folder)

    async def main() -> dict[str, Any]:
        log, compute = LastSaid(), ThreadCompute()
        database = Database.open(folder / DATABASE_FILE, (SCHEMA,))
        try:
            with open_file(file) as stream:
                blocks = read_archive(stream)
                if first_of(blocks) != first:
                    raise ArchiveInvalid("import ledger", reason="it is another chain's")
                store = LedgerStore(database)
                ports = LedgerPorts(store=store, compute=compute, clock=SystemClock(), log=log)
                chain = await LedgerChain.open(ports, first)
                came = await import_blocks(
                    chain, blocks, reason=lambda: log.text, on_progress=_tell
                )
            return {
                "blocks": came.blocks,
                "known": came.known,
                "height": chain.tree.tip.header.chain_length,
                "final": chain.tree.final.header.chain_length,
            }
        finally:
            await database.close()
            compute.close()

    told = asyncio.run(main())
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(
        f"{told['blocks']} blocks verified and taken, {told['known']} were known; "
        f"the chain ends with {told['height']}, final {told['final']}"
    )


def _tell_of(done: int, of: int) -> None:
    typer.echo(f"{done} of {of} blocks", err=True)


def _tell(done: int) -> None:
    typer.echo(f"{done} blocks", err=True)
