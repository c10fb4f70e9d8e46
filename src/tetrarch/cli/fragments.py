"""What the commands share that sign a fragment and give it to a node: the account's key, its counter, the fee."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.api.control_token import TOKEN_FILE, read_control_token
from tetrarch.cli.ledger_options import KEY_SIZE_BYTES
from tetrarch.cli.node_questions import ask_node, order_node
from tetrarch.errors import OperatorError
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.kind import Body
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.headers import BlockId


class AccountKeyUnusable(OperatorError):
    """The file with an account's key is missing, cannot be read, or holds none."""

    code = "account_key_unusable"
    exit_code = 66  # EX_NOINPUT
    mend = "name the file that `tetrarch ledger account` made"


class _Account(msgspec.Struct, frozen=True):
    value: int
    counter: int
    waiting: int


class _Fees(msgspec.Struct, frozen=True):
    constant: int
    per_byte: int


class _Settings(msgspec.Struct, frozen=True, rename="camel"):
    block0_hash: str
    tx_max_expiry_epochs: int
    fees: _Fees
    epoch: int


@dataclass(frozen=True, slots=True)
class Sent:
    """``fragment``: its id."""

    fragment: str
    fee: int
    counter: int

    def to_json(self) -> Mapping[str, Any]:
        """As a command prints it."""
        return {"fragment": self.fragment, "fee": self.fee, "counter": self.counter}


def read_account_key(path: Path) -> Ed25519PrivateKey:
    """The key in ``path``.

    Raises:
        AccountKeyUnusable: there is none; names the file, never its content.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(2 * KEY_SIZE_BYTES + 2)
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.decode().strip()))
    except OSError as error:
        raise AccountKeyUnusable("read account", path=path, reason=error.strerror) from None
    except (ValueError, UnicodeDecodeError):
        raise AccountKeyUnusable("read account", path=path, reason="it holds no key") from None


def account_of(key: Ed25519PrivateKey) -> AccountId:
    """The account that a key is of."""
    return AccountId(key.public_key().public_bytes_raw())


def send(body: Body, key: Ed25519PrivateKey, *, url: str, folder: Path) -> Sent:
    """Sign ``body`` with the next counter and the least fee, and give it to the node at ``url``.

    Raises:
        NodeAway, NodeAnswerInvalid: nobody answers there, or no ledger.
        ControlTokenUnusable, ControlDenied: the node's folder has no token, or another's.
        ControlRefused: it cannot hold, and why.
    """
    token = read_control_token(folder / TOKEN_FILE)  # before the node is asked for anything
    account = account_of(key)
    settings = ask_node(url, "/api/v0/settings", {}, _Settings)
    held = ask_node(url, "/ledger/account", {"id": account.hex()}, _Account)
    fragment = _priced(
        lambda fee: SignedFragment(
            payer=account,
            counter=held.counter + held.waiting,
            last_epoch=settings.epoch + settings.tx_max_expiry_epochs,
            fee=fee,
            body=body,
        ),
        settings.fees,
    )
    block0 = BlockId(bytes.fromhex(settings.block0_hash))
    signature = key.sign(fragment.to_sign(block0))
    data = fragment.unsigned + signature
    asked = {"fragment": data.hex()}
    told = order_node(url, "/ledger/fragments", asked, token=token, kind=dict[str, Any])
    return Sent(str(told.get("fragment", "")), fragment.fee, fragment.counter)


def _priced(make: Callable[[int], SignedFragment], fees: _Fees) -> SignedFragment:
    """Its size does not depend on its fee."""
    size_bytes = len(encode_fragment(make(0)))
    return make(fees.constant + fees.per_byte * size_bytes)
