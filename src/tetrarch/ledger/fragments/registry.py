"""All kinds of fragments, by the number that they have on the wire. Pure."""

from collections.abc import Mapping
from typing import Final

from tetrarch.ledger.fragments.batch import Batch
from tetrarch.ledger.fragments.burn import Burn
from tetrarch.ledger.fragments.coin_transfer import CoinTransfer
from tetrarch.ledger.fragments.delegate import Delegate
from tetrarch.ledger.fragments.external_block import ExternalBlockVote
from tetrarch.ledger.fragments.key_vote import KeyVote
from tetrarch.ledger.fragments.kind import Body
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.fragments.plan_list import PlanList
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.fragments.pool_retire import PoolRetire
from tetrarch.ledger.fragments.transfer import Transfer

_ALL: Final[tuple[type[Body], ...]] = (
    Transfer,
    PoolRegister,
    PoolRetire,
    Delegate,
    ParameterVote,
    KeyVote,
    ExternalBlockVote,
    Batch,
    PlanList,
    Burn,
    CoinTransfer,
)
KINDS: Final[Mapping[int, type[Body]]] = {kind.number: kind for kind in _ALL}
