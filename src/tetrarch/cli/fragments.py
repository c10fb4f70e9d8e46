"""What the commands share that sign a fragment and give it to a node: the account's key, its counter, the fee."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.api.control_token import TOKEN_FILE, read_control_token
from tetrarch.cli.node_questions import DEFAULT_URL, ask_node, order_node
from tetrarch.errors import ConfigInvalid, OperatorError
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.kind import Body
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.headers import BlockId

KEY_SIZE_BYTES: Final = 32

KeyFile: TypeAlias = Annotated[
    Path, typer.Option("--key-file", help="Of the account that pays; `tetrarch ledger account`.")
]
Url: TypeAlias = Annotated[str, typer.Option(help="The node's monitoring listener.")]
Folder: TypeAlias = Annotated[Path, typer.Option(help="The node's folder, for its control token.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DEFAULT: Final = DEFAULT_URL


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
    token = read_control_token(folder / TOKEN_FILE)
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
    told = order_node(
        url, "/ledger/fragments", {"fragment": data.hex()}, token=token, kind=dict[str, Any]
    )
    return Sent(str(told.get("fragment", "")), fragment.fee, fragment.counter)


def key_option(option: str, text: str) -> bytes:
    """32 bytes of an option's text.

    Raises:
        ConfigInvalid: it has not 64 hexadecimal digits.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE_BYTES:
        raise ConfigInvalid("read option", option=option, expected="64 hexadecimal digits")
    return key


def _priced(make: Callable[[int], SignedFragment], fees: _Fees) -> SignedFragment:
    """Its size does not depend on its fee."""
    size_bytes = len(encode_fragment(make(0)))
    return make(fees.constant + fees.per_byte * size_bytes)
