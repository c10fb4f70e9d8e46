"""A Bitcoin block, looked through for what is ours. Pure.

A plan is what it spends, so a transaction that spends a plan's inputs is the plan's, whatever its id: it may have been made
anew with another fee. It must spend all of them, and pay the plan's addresses in the plan's order, none more than planned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tetrarch.custody.chains.bitcoin.addresses import Network, script_of
from tetrarch.custody.chains.bitcoin.blocks import Found, find, read_header
from tetrarch.custody.chains.bitcoin.carried import carried
from tetrarch.custody.chains.bitcoin.holding import HoldingKey
from tetrarch.custody.chains.bitcoin.transactions import output_id
from tetrarch.custody.instructions import decode_deposit
from tetrarch.custody.outputs import Output, OutputId, OutputKind
from tetrarch.custody.planner import Plan
from tetrarch.custody.scanned import Broken, Done, Incoming, ScannedBlock

SPENT_MAX: Final = 8  # inputs by which a sender is looked for


@dataclass(frozen=True, slots=True)
class Watch:
    """What blocks are looked through for. ``held``: with the plan that spends it, if one does."""

    network: Network
    keys: Sequence[HoldingKey]
    held: Mapping[OutputId, Plan | None]
    dust: int  # outputs below it are left alone


def scan(watch: Watch, block: bytes, *, number: int) -> ScannedBlock:
    """Look a block through. Cost: 5 us for each transaction of it.

    Raises:
        BlockInvalid: it is none, or not what its header says.
    """
    kinds = {key.script: key.kind for key in watch.keys}
    header = read_header(block)
    incoming: list[Incoming] = []
    done: list[Done] = []
    strays: list[Output] = []
    broken: list[Broken] = []
    for found in find(block, kinds, watch.held):
        spent = [spend.output for spend in found.spends if spend.output in watch.held]
        ours = _ours(found, kinds, dust=watch.dust)
        if not spent:
            incoming += _incoming(found, ours)
            strays += [each for each in ours if each.kind is not OutputKind.EXTERNAL]
            continue
        plan = watch.held[spent[0]]
        outcome = _done(watch, found, plan) if plan is not None else None
        if outcome is None:
            broken.append(Broken(spent[0], found.id))
        else:
            done.append(outcome)
    return ScannedBlock(
        number=number,
        id=header.id,
        parent=header.parent,
        time_s=header.time_s,
        incoming=tuple(incoming),
        done=tuple(done),
        strays=tuple(strays),
        broken=tuple(broken),
    )


def _ours(found: Found, kinds: Mapping[bytes, OutputKind], *, dust: int) -> list[Output]:
    if found.is_first:
        return []  # new coins cannot be spent for a hundred blocks
    return [
        Output(output_id(found.id, place), kinds[script], amount)
        for place, (amount, script) in enumerate(found.outputs)
        if script in kinds and amount >= dust
    ]


def _incoming(found: Found, ours: Sequence[Output]) -> list[Incoming]:
    external = [each for each in ours if each.kind is OutputKind.EXTERNAL]
    if not external:
        return []
    deposit = decode_deposit(carried(found))
    spent = tuple(spend.output for spend in found.spends[:SPENT_MAX])
    return [Incoming(each, deposit, spent) for each in external]


def _done(watch: Watch, found: Found, plan: Plan) -> Done | None:
    """What came of ``plan``, if that is what ``found`` carries out."""
    if {spend.output for spend in found.spends} != {each.id for each in plan.inputs}:
        return None
    scripts = {key.kind: key.script for key in watch.keys}
    planned = [(amount, script_of(watch.network, each.address)) for each, amount in plan.payments]
    planned += [(amount, scripts[OutputKind.BRANCH]) for _, amount in plan.branches]
    if plan.change:
        planned.append((plan.change, scripts[OutputKind.CHANGE]))
    if len(planned) != len(found.outputs):
        return None
    for (most, wanted), (amount, script) in zip(planned, found.outputs, strict=True):
        if script != wanted or amount > most:
            return None
    first = len(plan.payments)
    ours = [
        Output(
            output_id(found.id, place),
            OutputKind.BRANCH if place < first + len(plan.branches) else OutputKind.CHANGE,
            found.outputs[place][0],
        )
        for place in range(first, len(planned))
    ]
    branches = tuple(ours[: len(plan.branches)])
    return Done(plan.id, found.id, branches, ours[-1] if plan.change else None)
