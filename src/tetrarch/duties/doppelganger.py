"""Doppelganger detection, opt-in: does somebody else sign with these keys already?

A sole validator listens for two epochs: if its key votes, it runs elsewhere. In a cluster the group's key
votes all the time, and rightly so, while other nodes are up. Two questions take the place of one:

* *Does our share sign?* Whatever a peer proves that our share signed after this start was signed by
  another instance of this node, for this one is held.
* *Does the group sign, although the cluster cannot?* While at least n - t of the others (and f more, for
  liars) are held themselves, no t shares of it can have signed. Who votes then has the keys from elsewhere.
"""

from collections.abc import Iterable
from typing import ClassVar

from tetrarch.consensus.messages import faulty_max
from tetrarch.duties.ports import GroupKeys
from tetrarch.duties.types import PubKey
from tetrarch.duties.witnesses import PeerState
from tetrarch.errors import OperatorError
from tetrarch.ethereum.beacon_node.ports import BeaconNode

WATCHED_EPOCHS = 2


class AnotherInstanceRuns(OperatorError):
    """Somebody else signs with this node's share, or with the validators' keys."""

    code = "another_instance_runs"
    exit_code: ClassVar[int] = 78  # nothing that a restart could heal
    mend = (
        "find the other program and stop it for good (and look at this host's clock);"
        " then start this node again"
    )


def cannot_sign(keys: GroupKeys, states: Iterable[PeerState], epoch: int) -> bool:
    """Whether so many peers were held all through ``epoch`` that the cluster has signed nothing.

    Some of those who say so may lie, but no more than f.
    """
    held = sum(state.held and state.first_epoch < epoch for state in states)
    return held >= keys.share_count - keys.threshold + faulty_max(keys.share_count)


async def voting_validators(
    beacon_node: BeaconNode, keys: GroupKeys, epoch: int
) -> tuple[PubKey, ...]:
    """Our validators that the beacon node saw vote in ``epoch``; raises as ``BeaconNode``."""
    records = await beacon_node.validators(keys.pubkeys)
    by_index = {record.index: PubKey(record.pubkey) for record in records}
    if not by_index:
        return ()
    live = await beacon_node.live_validators(epoch, tuple(sorted(by_index)))
    return tuple(sorted(by_index[index] for index in live))
