"""A node's end of its enclave in an election: typed calls, requests sealed on their way."""

from dataclasses import dataclass
from typing import Self

from tetrarch.election import codec
from tetrarch.election.configuration import Configuration
from tetrarch.election.documents import configuration_document
from tetrarch.election.hello import Appraisal, Hello
from tetrarch.election.requests import Answer, Request
from tetrarch.election.sealed_calls import place_of, seal_request
from tetrarch.election.statements import Signed
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.election_messages import (
    AskElection,
    AttestHello,
    Challenge,
    ElectionOpened,
    Met,
    OpenElection,
    Said,
    SayHello,
    TakeHello,
)
from tetrarch.entropy import Entropy


@dataclass(frozen=True, slots=True)
class ElectionClient:
    """One election of one enclave; ``open`` it. Closed with its enclave.

    ``pinned``: the members' keys that the enclave knows, by index, from former starts, too.
    ``is_older``: the state in its folder is not the newest that its counter knows of.
    """

    signing_key: bytes
    sealing_key: bytes
    boot: bytes
    pinned: tuple[bytes | None, ...]
    is_older: bool
    _enclave: EnclaveClient
    _place: bytes
    _entropy: Entropy

    @classmethod
    async def open(
        cls,
        enclave: EnclaveClient,
        files: ElectionFiles,
        *,
        configuration: Configuration,
        source: int,
        entropy: Entropy,
        accepts_cold_start: bool = False,
    ) -> Self:
        """Begin a life of the member ``source``.

        Raises:
            OperatorError: of the seal, its secret, the share or the folder.
        """
        call = OpenElection(
            folder=str(files.folder),
            configuration=configuration_document(configuration),
            source=source,
            secret=files.secret.file,
            accepts_cold_start=accepts_cold_start,
            share=files.share,
            sealed=files.sealed,
        )
        opened = await enclave.ask(call, ElectionOpened)
        place = place_of(configuration.hash, opened.signing_key, opened.boot)
        return cls(
            opened.signing_key,
            opened.sealing_key,
            opened.boot,
            opened.pinned,
            opened.is_older,
            enclave,
            place,
            entropy,
        )

    async def challenge(self) -> bytes:
        """A nonce for another's hello."""
        return (await self._enclave.ask(Challenge(), Said)).content

    async def say_hello(self, *, session: bytes, nonce: bytes) -> Signed[Hello]:
        """Answer another's nonce in ``session``."""
        said = await self._enclave.ask(SayHello(session, nonce), Said)
        return codec.decode_hello(said.content)

    async def take_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        """Have the enclave check another's hello, and pin its key at first contact.

        Raises:
            HelloInvalid, KeyChanged, MemberUnattested: it is not the member that it says.
        """
        met = await self._enclave.ask(TakeHello(codec.encode(hello), session), Met)
        return Appraisal(met.back_end, met.measurement, met.details, met.refusal)

    async def attest_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        """Have the enclave judge the evidence of who may have another configuration.

        Raises:
            HelloInvalid, MemberUnattested: it does not show what it must.
        """
        met = await self._enclave.ask(AttestHello(codec.encode(hello), session), Met)
        return Appraisal(met.back_end, met.measurement, met.details, met.refusal)

    async def ask(self, request: Request) -> Answer:
        """Have the enclave do what ``request`` asks.

        Raises:
            CertificateInvalid, StatementFalse: what it carries proves nothing.
            Transient: its disk is full, or it is slow.
            OperatorError: its disk fails, or it is gone.
        """
        sealed, open_answer = seal_request(
            request, sealing_key=self.sealing_key, place=self._place, entropy=self._entropy
        )
        said = await self._enclave.ask(AskElection(sealed), Said)
        return open_answer(said.content)
