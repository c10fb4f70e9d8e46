"""Who can be paid, and what their addresses are on which network. Pure.

Source: BIP-173 and BIP-350 for segwit addresses, base58check for those before.
"""

from dataclasses import dataclass
from typing import Final

from embit import base58, bech32

from tetrarch.errors import InputInvalid

ADDRESS_SIZE_MAX: Final = 90  # BIP-173
SEGWIT_PROGRAM_SIZES: Final = {0: (20, 32), 1: (32,)}  # by version; others nobody can spend yet
HASH_SIZE_BYTES: Final = 20
_OP_1: Final = 0x51
_PUSH_32: Final = 0x20


class AddressInvalid(InputInvalid):
    """Text that is no address of this network to which coins can be sent."""

    code = "bitcoin_address_invalid"


@dataclass(frozen=True, slots=True)
class Network:
    """What its addresses begin with."""

    name: str
    segwit_prefix: str
    key_hash_prefix: int
    script_hash_prefixes: tuple[int, ...]  # the first is ours to write


MAINNET: Final = Network("bitcoin", "bc", 0x00, (0x05,))
TESTNET: Final = Network("testnet", "tb", 0x6F, (0xC4,))
REGTEST: Final = Network("regtest", "bcrt", 0x6F, (0xC4,))
LITECOIN_REGTEST: Final = Network("litecoin-regtest", "rltc", 0x6F, (0x3A, 0xC4))
NETWORKS: Final = {each.name: each for each in (MAINNET, TESTNET, REGTEST, LITECOIN_REGTEST)}


def script_of(network: Network, address: bytes) -> bytes:
    """The output script that pays ``address``, which is ASCII text. Cost: 60 us.

    Raises:
        AddressInvalid: it is another network's, of a kind that is not known, or none.
    """
    text = _text(address)
    prefix, separator, _ = text.lower().rpartition("1")
    known = {each.segwit_prefix for each in NETWORKS.values()}
    if separator and (prefix == network.segwit_prefix or prefix in known):
        return _segwit_script(network, text, prefix)
    return _hash_script(network, text)


def taproot_address(network: Network, output_key: bytes) -> bytes:
    """The address of a Taproot output key: its x, 32 bytes."""
    text = bech32.encode(network.segwit_prefix, 1, output_key)
    assert isinstance(text, str)
    return text.encode()


def taproot_script(output_key: bytes) -> bytes:
    """The output script of a Taproot output key."""
    return bytes((_OP_1, _PUSH_32)) + output_key


def address_of(network: Network, script: bytes) -> bytes | None:
    """The address that ``script`` pays; nothing if it has none."""
    size = len(script)
    if size == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return _base58(network.key_hash_prefix, script[3:23])
    if size == 23 and script[:2] == b"\xa9\x14" and script[22:] == b"\x87":
        return _base58(network.script_hash_prefixes[0], script[2:22])
    if size in {22, 34} and script[1] == size - 2:
        version = {0: 0, _OP_1: 1}.get(script[0])
        if version is not None and size - 2 in SEGWIT_PROGRAM_SIZES[version]:
            text = bech32.encode(network.segwit_prefix, version, script[2:])
            return text.encode() if isinstance(text, str) else None
    return None


def _text(address: bytes) -> str:
    if len(address) > ADDRESS_SIZE_MAX:
        raise AddressInvalid("read address", got_bytes=len(address), bytes_max=ADDRESS_SIZE_MAX)
    try:
        return address.decode("ascii")
    except UnicodeDecodeError:
        raise AddressInvalid("read address", reason="it is not ASCII") from None


def _segwit_script(network: Network, text: str, prefix: str) -> bytes:
    if prefix != network.segwit_prefix:
        raise AddressInvalid("read address", network=network.name, prefix=prefix)
    version, program = bech32.decode(prefix, text)
    if version is None or program is None:
        raise AddressInvalid("read address", reason="its checksum or its form is wrong")
    if len(program) not in SEGWIT_PROGRAM_SIZES.get(version, ()):
        raise AddressInvalid("read address", version=version, program_bytes=len(program))
    return bytes((_OP_1 + version - 1 if version else 0, len(program))) + bytes(program)


def _hash_script(network: Network, text: str) -> bytes:
    try:
        data = base58.decode_check(text)
    except Exception as error:
        raise AddressInvalid("read address", reason="it is of no known kind") from error
    if len(data) != 1 + HASH_SIZE_BYTES:
        raise AddressInvalid("read address", got_bytes=len(data))
    prefix, digest = data[0], bytes(data[1:])
    if prefix == network.key_hash_prefix:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"
    if prefix in network.script_hash_prefixes:
        return b"\xa9\x14" + digest + b"\x87"
    raise AddressInvalid("read address", network=network.name, prefix=prefix)


def _base58(prefix: int, digest: bytes) -> bytes:
    text = base58.encode_check(bytes((prefix,)) + digest)
    assert isinstance(text, str)
    return text.encode()
