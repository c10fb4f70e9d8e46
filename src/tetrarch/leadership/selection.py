"""Which fragments go into a block: in the order in which they came, as long as there is room and time. Pure."""

from collections.abc import Callable, Iterable

from tetrarch.errors import PeerFault
from tetrarch.ledger.blocks import LENGTH_SIZE_BYTES, Fragment
from tetrarch.ledger.fragments.kind import Where
from tetrarch.ledger.fragments.signed import apply_fragment
from tetrarch.ledger.mempool import Waiting
from tetrarch.ledger.tables import Draft


def select(
    draft: Draft,
    waiting: Iterable[Waiting],
    *,
    where: Where,
    size_bytes: int,
    is_over: Callable[[], bool],
) -> tuple[Fragment, ...]:
    """Those that hold upon ``draft``, which is changed by them. Cost: 0.05 ms each.

    ``size_bytes``: what the block has room for. ``is_over``: the soft deadline; what was selected by then is the block.
    """
    found: list[Fragment] = []
    for each in waiting:
        if is_over():
            break
        needed = LENGTH_SIZE_BYTES + len(each.data)
        if needed > size_bytes:
            continue
        try:
            apply_fragment(draft, each.fragment, size_bytes=len(each.data), where=where)
        except PeerFault:
            continue  # it may hold upon another block
        found.append(each.data)
        size_bytes -= needed
    return tuple(found)
