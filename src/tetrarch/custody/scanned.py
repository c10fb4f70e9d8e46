"""What a block of an outside chain has for us, whichever chain it is. Pure.

incoming   others sent us coins, with an instruction or without
done       a plan's transaction is there: it spends the plan's inputs and pays whom it was to pay
strays     outputs to addresses that only we should use, from others: held as gifts
broken     what we hold was spent otherwise than planned: whoever did that has the key, and all must stop
"""

from dataclasses import dataclass

from tetrarch.custody.instructions import Deposit
from tetrarch.custody.outputs import Output, OutputId, PlanId


@dataclass(frozen=True, slots=True)
class Incoming:
    """``deposit``: the instruction that came along, if one did. ``spent``: what the sender spent, some of it.

    ``origin``: the address that the first of these was held by, as far as it has one; whoever can look that up adds it.
    """

    output: Output
    deposit: Deposit | None
    spent: tuple[OutputId, ...]
    origin: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """``branches`` in the plan's order; ``change`` if there is some. A transaction made anew may have given them less."""

    plan: PlanId
    transaction: bytes
    branches: tuple[Output, ...]
    change: Output | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A transaction that spends ``output``, and is no plan's."""

    output: OutputId
    transaction: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedBlock:
    """``is_notable``: the group has to agree on it, as something is to be done."""

    number: int
    id: bytes
    parent: bytes
    time_s: int
    incoming: tuple[Incoming, ...] = ()
    done: tuple[Done, ...] = ()
    strays: tuple[Output, ...] = ()
    broken: tuple[Broken, ...] = ()

    @property
    def is_notable(self) -> bool:
        """Whether anything is there for us."""
        return bool(self.incoming or self.done or self.strays)
