"""What operators and creator sign with their wallets: four tiny EIP-712 messages.

Source: EIP-712; reference section 5.3, "Signatures".
"""

from typing import Final

from tetrarch.cluster.addresses import address_of_key
from tetrarch.crypto import k1
from tetrarch.crypto.keccak import keccak256
from tetrarch.errors import InputInvalid

OPERATOR_CONFIG_HASH: Final = ("OperatorConfigHash", "operator_config_hash")
CREATOR_CONFIG_HASH: Final = ("CreatorConfigHash", "creator_config_hash")
ENR: Final = ("ENR", "enr")
_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId)"


def typed_digest(kind: tuple[str, str], text: str, *, chain_id: int) -> bytes:
    """The 32 bytes that a wallet signs for ``text``, a message of one string field.

    Args:
        kind: type and field name, one of this module's constants.
        text: a hash as lower-case ``0x`` hex, or an ENR.
        chain_id: of the execution chain.
    """
    type_name, field_name = kind
    domain = keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(b"Obol")
        + keccak256(b"1")
        + chain_id.to_bytes(32, "big")
    )
    message = keccak256(
        keccak256(f"{type_name}(string {field_name})".encode()) + keccak256(text.encode())
    )
    return keccak256(b"\x19\x01" + domain + message)


def signed_by(address: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the 65-byte ``signature`` recovers to ``address``; malformed bytes are False."""
    try:
        return address_of_key(k1.recover(digest, signature)) == address
    except InputInvalid:
        return False
