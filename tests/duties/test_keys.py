"""Public keys of the cluster: who owns a share, and which shares are this node's."""

import pytest
from tests.duties.duty_world import Validators

from tetrarch.duties.types import PubKey, ShareIndex

VALIDATORS = Validators(2)
KEYS = VALIDATORS.keys
PUBKEY = VALIDATORS.pubkeys[0]
FOREIGN = PubKey(b"\1" * 48)


def test_own_share_and_root_key_lead_to_each_other() -> None:
    own = KEYS.share_of(PUBKEY)
    assert own == VALIDATORS.shares[PUBKEY][1].public_key()
    assert KEYS.root_of(own) == PUBKEY


def test_peers_share_is_known_but_not_ours() -> None:
    share = KEYS.public_share(PUBKEY, ShareIndex(3))
    assert share == VALIDATORS.shares[PUBKEY][3].public_key()
    assert KEYS.root_of(share) is None
    assert KEYS.owner_of(share) == 3


def test_foreign_keys_are_nobodys() -> None:
    assert KEYS.share_of(FOREIGN) is None
    assert KEYS.root_of(FOREIGN) is None
    assert KEYS.owner_of(FOREIGN) is None
    assert KEYS.root_of(PUBKEY) is None, "a root key is no share"
    with pytest.raises(KeyError):
        KEYS.public_share(FOREIGN, ShareIndex(1))


def test_root_keys_are_sorted_and_no_key_is_printed() -> None:
    assert KEYS.pubkeys == tuple(sorted(VALIDATORS.shares))
    assert PUBKEY.hex() not in repr(KEYS)
    assert repr(PUBKEY) not in repr(KEYS)
