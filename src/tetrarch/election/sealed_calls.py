"""What a machine asks its enclave, sealed on the way there and back. Pure.

Between a node and its enclave there may be a host that neither trusts: a proxy, a virtual machine's
monitor. It can lose requests, and learns and changes nothing. A request is sealed to the enclave's
key for this configuration and this start of it, and holds the key that its answer is sealed to;
the answer is bound to the request. Source: RFC 9180 (``crypto.hpke``).
"""

import hashlib
from collections.abc import Callable

from tetrarch.crypto import hpke
from tetrarch.crypto.hpke import KEY_SIZE_BYTES, OpeningKey
from tetrarch.election import codec
from tetrarch.election.requests import Answer, Request
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid

_DOMAIN = b"tetrarch/election/1/call"


def place_of(configuration_hash: bytes, signing_key: bytes, boot: bytes) -> bytes:
    """What binds calls to one start of one enclave in one configuration."""
    return _DOMAIN + configuration_hash + signing_key + boot


def seal_request(
    request: Request, *, sealing_key: bytes, place: bytes, entropy: Entropy
) -> tuple[bytes, Callable[[bytes], Answer]]:
    """``request`` for the enclave alone, and what opens its answer.

    The opener raises SealedTextInvalid or BytesInvalid. Cost: 0.3 ms, and 0.2 ms to open.
    """
    answer_key = OpeningKey(entropy(KEY_SIZE_BYTES))
    text = answer_key.public + codec.encode(request)
    sealed = hpke.seal(text, sealing_key, info=place + b"request")

    def open_answer(answer: bytes) -> Answer:
        info = _answer_info(place, sealed)
        return codec.decode_answer(answer_key.open(answer, info=info))

    return sealed, open_answer


def open_request(
    sealed: bytes, key: OpeningKey, *, place: bytes
) -> tuple[Request, Callable[[Answer], bytes]]:
    """The request, and what seals its answer: for the enclave.

    Raises:
        SealedTextInvalid: it is for another enclave, another start, or was changed.
        BytesInvalid: what was sealed is no request.
    """
    text = key.open(sealed, info=place + b"request")
    if len(text) < KEY_SIZE_BYTES:
        raise InputInvalid("open request", bytes=len(text))
    answer_key, request = text[:KEY_SIZE_BYTES], codec.decode_request(text[KEY_SIZE_BYTES:])

    def seal_answer(answer: Answer) -> bytes:
        return hpke.seal(codec.encode(answer), answer_key, info=_answer_info(place, sealed))

    return request, seal_answer


def _answer_info(place: bytes, sealed_request: bytes) -> bytes:
    return place + b"answer" + hashlib.sha256(sealed_request).digest()
