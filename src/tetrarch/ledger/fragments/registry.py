"""All kinds of fragments, by the number that they have on the wire. Pure."""

from collections.abc import Mapping
from typing import Final

from tetrarch.ledger.fragments.delegate import Delegate
from tetrarch.ledger.fragments.kind import Body
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.fragments.pool_retire import PoolRetire
from tetrarch.ledger.fragments.transfer import Transfer

_ALL: Final[tuple[type[Body], ...]] = (Transfer, PoolRegister, PoolRetire, Delegate)
KINDS: Final[Mapping[int, type[Body]]] = {kind.number: kind for kind in _ALL}
