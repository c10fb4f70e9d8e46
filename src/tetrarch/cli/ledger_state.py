"""Part of ``tetrarch ledger``: a state as one file, to begin a node with it."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.ledger_options import AsJson

state = typer.Typer(rich_markup_mode=None)


@state.command(name="export-state")
@run_command
def export_state_of(
    folder: Annotated[Path, typer.Argument(help="The node's folder.")],
    block0: Annotated[Path, typer.Option("--genesis", help="The chain's first block.")],
    out: Annotated[Path, typer.Option(help="Where the file goes.")],
    as_json: AsJson = False,
) -> None:
    """Write the newest proven state of a node that does not run into one file, with what proves it.

    Example: tetrarch ledger export-state node0 --genesis block0 --out chain.state

    Exit codes: 0, 65 what is stored is damaged, or no state is proven yet, 66 there is no such file, 73 the node runs, or
    the file cannot be written.
    """
    from tetrarch.cli.files import read_block0  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.compute import ThreadCompute  # noqa: PLC0415
    from tetrarch.ledger.state_file import export_state  # noqa: PLC0415
    from tetrarch.ledger.state_giving import StateGiving  # noqa: PLC0415
    from tetrarch.ledger.store import SCHEMA, LedgerDamaged, LedgerStore  # noqa: PLC0415
    from tetrarch.ledger_node import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.storage.database import Database  # noqa: PLC0415
    from tetrarch.storage.errors import cannot_create  # noqa: PLC0415

    first, path = read_block0(block0), folder / DATABASE_FILE
    if not path.exists():
        raise LedgerDamaged("export state", path=path, reason="there is no such file")
    partial = out.with_name(out.name + ".part")  # so that what stands under its name is whole

    async def main() -> dict[str, Any]:
        compute, database = ThreadCompute(), Database.open(path, (SCHEMA,))
        try:
            giving = StateGiving(LedgerStore(database), compute, first.header.id)
            with partial.open("wb") as file:
                contents = await export_state(giving, file)
        finally:
            await database.close()
            compute.close()
        return {
            "height": contents.height,
            "block": contents.block.hex(),
            "state": contents.state.hex(),
            "proofs": len(contents.proofs),
            "chunks": len(contents.chunks),
        }

    try:
        told = asyncio.run(main())
        partial.replace(out)
    except OSError as error:
        raise cannot_create("export state", out, error) from None
    finally:
        partial.unlink(missing_ok=True)
    told |= {"bytes": out.stat().st_size, "file": str(out)}
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(f"the state that block {told['height']}, {told['block']}, left: {told['state']}")
    typer.echo(f"{told['bytes']} bytes, proven by {told['proofs']} blocks, in {out}")


@state.command(name="import-state")
@run_command
def import_state_to(
    file: Annotated[Path, typer.Argument(help="As `ledger export-state` wrote it.")],
    folder: Annotated[Path, typer.Argument(help="The folder of a node that has no chain yet.")],
    block0: Annotated[Path, typer.Option("--genesis", help="The chain's first block.")],
    as_json: AsJson = False,
) -> None:
    """Verify a state by the chain's first block alone, and begin a node's chain with it. Nothing in it is believed.

    Example: tetrarch ledger import-state chain.state node4 --genesis block0

    Exit codes: 0, 65 it is no state of this chain, or the node has a chain already, 66 there is no such file, 73 the node
    runs, or the folder cannot be written.
    """
    from tetrarch.cli.files import open_file, read_block0  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.ledger.state_file import StateFileInvalid, import_state  # noqa: PLC0415
    from tetrarch.ledger.store import SCHEMA, LedgerStore  # noqa: PLC0415
    from tetrarch.ledger_node import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.storage.database import Database  # noqa: PLC0415
    from tetrarch.storage.folders import make_folder  # noqa: PLC0415

    first = read_block0(block0)
    with open_file(file) as stream:
        taken = import_state(stream, first)
    make_folder(folder)

    async def main() -> None:
        database = Database.open(folder / DATABASE_FILE, (SCHEMA,))
        try:
            store = LedgerStore(database)
            if await store.load() is not None:
                raise StateFileInvalid(
                    "import state", folder=folder, reason="the node has a chain already"
                )
            await store.begin_with(first, taken.block, taken.cells, taken.proven)
        finally:
            await database.close()

    asyncio.run(main())
    header = taken.block.header
    told = {
        "height": header.chain_length,
        "date": str(header.date),
        "block": header.id.hex(),
        "cells": len(taken.cells),
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(f"the chain begins here with the state that block {told['height']} left")
    typer.echo(f"{told['date']}  {told['block']}, {told['cells']} cells")
