"""Profiles as the reference's gossip and answers carry them: a length before each. Pure."""

from collections.abc import Iterable

from tetrarch.network.overlay.profile import NODE_ID_SIZE_BYTES, NodeId, Profile

_LENGTH_SIZE_BYTES = 2
_NODE_AT = 2


def wrap(record: bytes) -> bytes:
    """Length u16 big-endian, then the record."""
    return len(record).to_bytes(_LENGTH_SIZE_BYTES, "big") + record


def unwrap(data: bytes) -> bytes:
    """The record, or ``data`` itself if its length is wrong: then it is no record either."""
    record = data[_LENGTH_SIZE_BYTES:]
    return record if int.from_bytes(data[:_LENGTH_SIZE_BYTES], "big") == len(record) else data


def is_of_use(profile: Profile) -> bool:
    """Whether a node that has no TLS could dial it; who cannot is only put aside for nothing."""
    return not profile.certificate and profile.address.port != 0


def own_of(records: Iterable[bytes], node: NodeId) -> bytes:
    """The record that ``node`` sent of itself, anywhere among others; empty if it is private."""
    end = _NODE_AT + NODE_ID_SIZE_BYTES
    return next((record for record in records if record[_NODE_AT:end] == node), b"")
