"""Messages by which a node has its enclave take part in an election."""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.election.codec import REQUEST_MAX_BYTES
from tetrarch.election.documents import DOCUMENT_MAX_BYTES
from tetrarch.election.hello import EVIDENCE_MAX_BYTES
from tetrarch.election.quorums import MEMBERS_MAX
from tetrarch.enclave.messages import Message, Path, Root, SealedFile, SecretFile, ShareFile

HELLO_MAX_BYTES = EVIDENCE_MAX_BYTES + (4 << 10)
TEXT_MAX = 1024

Document: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=DOCUMENT_MAX_BYTES)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]
HelloBytes: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=HELLO_MAX_BYTES)]
SealedBytes: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=REQUEST_MAX_BYTES)]


class OpenElection(Message, frozen=True, tag="open_election"):
    """Begin a life in the election of ``configuration``, a document, as the member ``source``.

    ``secret``: what opens the seal. ``share``: of the key that the members share, if they do;
    ``sealed``: where it may lie sealed.
    """

    folder: Path
    configuration: Document
    source: Annotated[int, msgspec.Meta(ge=0, le=255)]
    secret: SecretFile
    accepts_cold_start: bool
    share: ShareFile | None = None
    sealed: SealedFile | None = None


class Challenge(Message, frozen=True, tag="challenge"):
    """A nonce for another's hello."""


class SayHello(Message, frozen=True, tag="say_hello"):
    """Answer another's nonce."""

    session: Root
    nonce: Root


class TakeHello(Message, frozen=True, tag="take_hello"):
    """``hello``: bytes of ``codec``."""

    hello: HelloBytes
    session: Root


class AttestHello(Message, frozen=True, tag="attest_hello"):
    """As ``TakeHello``, of who may have another configuration: only its evidence is judged."""

    hello: HelloBytes
    session: Root


class AskElection(Message, frozen=True, tag="ask_election"):
    """A request, sealed (``sealed_calls``)."""

    sealed: SealedBytes


class ElectionOpened(Message, frozen=True, tag="election_opened"):
    """Who the enclave is, in this start.

    ``pinned``: the members' keys that it knows, by index. ``is_older``: its state is, than one that
    was counted.
    """

    signing_key: Root
    sealing_key: Root
    boot: Root
    pinned: Annotated[tuple[Root | None, ...], msgspec.Meta(max_length=MEMBERS_MAX)]
    is_older: bool = False


class Said(Message, frozen=True, tag="said"):
    """The nonce, the hello, or the sealed answer that was asked for."""

    content: SealedBytes


class Met(Message, frozen=True, tag="met"):
    """The hello is right, and of a member its key is pinned; ``hello.Appraisal`` of its evidence."""

    back_end: Text
    measurement: Text
    details: Text
    refusal: Text


ElectionCall: TypeAlias = (
    OpenElection | Challenge | SayHello | TakeHello | AttestHello | AskElection
)
ElectionAnswer: TypeAlias = ElectionOpened | Said | Met
