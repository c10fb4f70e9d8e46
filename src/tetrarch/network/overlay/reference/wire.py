"""Names of the reference's methods, and its messages as bytes that are bounded and checked. Pure."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from tetrarch.network.overlay.messages import OverlayMessageInvalid
from tetrarch.network.overlay.spreading import ItemId

NODE, WATCH = "/iohk.chain.node.Node/", "/iohk.chain.watch.Watch/"
ID_SIZE_BYTES = 32
IDS_MAX = 1024  # of one question; the reference asks for 32
CHECKPOINTS_MAX = 1024
PEERS_MAX = 32

_M = TypeVar("_M", bound=Message)


def decode(message_type: type[_M], data: bytes) -> _M:
    """``data`` as a message.

    Raises:
        OverlayMessageInvalid: it is none.
    """
    try:
        return message_type.FromString(data)
    except DecodeError:
        name = message_type.DESCRIPTOR.name
        raise OverlayMessageInvalid("decode message", expected=name) from None


def ids_of(ids: Sequence[bytes], *, count_max: int = IDS_MAX) -> tuple[ItemId, ...]:
    """Ids that another named.

    Raises:
        OverlayMessageInvalid: too many, or one that is not of 32 bytes.
    """
    if len(ids) > count_max:
        raise OverlayMessageInvalid("read ids", ids=len(ids), maximum=count_max)
    if any(len(each) != ID_SIZE_BYTES for each in ids):
        raise OverlayMessageInvalid("read ids", reason="an id has 32 bytes")
    return tuple(map(ItemId, ids))


def id_of(data: bytes) -> ItemId:
    """One id. Raises OverlayMessageInvalid: it is not of 32 bytes."""
    return ids_of((data,))[0]
