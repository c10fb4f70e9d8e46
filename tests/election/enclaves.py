"""Enclaves of elections without processes: the same state, rules and seals."""

import time
from collections.abc import Callable
from pathlib import Path

from tetrarch.clock import steady_ms
from tetrarch.election import codec
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import Appraisal, Hello
from tetrarch.election.requests import Answer, Request
from tetrarch.election.sealed_calls import place_of, seal_request
from tetrarch.election.statements import Signed
from tetrarch.enclave.attesting import Attester, SoftwareAttester
from tetrarch.enclave.electing import Electing
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.host import Host
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.entropy import system_entropy

MEASUREMENT = b"m" * 32
HONEST = SoftwareAttester(MEASUREMENT, lambda: ("landlock:7",))


def opened(
    folder: Path,
    configuration: Configuration,
    source: int,
    *,
    attester: Attester = HONEST,
    now_ms: Callable[[], int] = steady_ms,
    share: ShareFile | None = None,
    accepts_cold_start: bool = False,
) -> Electing:
    """An enclave whose state lies in ``folder``, under a key file."""
    folder.mkdir(exist_ok=True)
    make_key_file(folder / "seal-key", system_entropy)
    return Electing.open(
        files=ElectionFiles(folder, SealSecret(Kind.KEY_FILE, folder / "seal-key"), share),
        configuration=configuration,
        source=source,
        host=Host(
            attester=attester,
            entropy=system_entropy,
            read=SecretReader(system_entropy),
            now_ms=now_ms,
            wall_s=time.time,
        ),
        accepts_cold_start=accepts_cold_start,
    )


class InlineEnclave:
    """Has the form of ``enclave.election_client.ElectionClient``."""

    def __init__(self, electing: Electing, configuration: Configuration) -> None:
        self._electing = electing
        self._hash = configuration.hash

    @property
    def signing_key(self) -> bytes:
        return self._electing.signing_key

    async def challenge(self) -> bytes:
        return self._electing.challenge()

    async def say_hello(self, *, session: bytes, nonce: bytes) -> Signed[Hello]:
        return self._electing.say_hello(session=session, nonce=nonce)

    async def take_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        return self._electing.take_hello(codec.decode_hello(codec.encode(hello)), session=session)

    async def attest_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        decoded = codec.decode_hello(codec.encode(hello))
        return self._electing.attest_hello(decoded, session=session)

    async def ask(self, request: Request) -> Answer:
        return ask(self._electing, self._hash, request)


def ask(electing: Electing, configuration_hash: bytes, request: Request) -> Answer:
    """Ask as a node does: sealed, there and back."""
    sealed, open_answer = seal_request(
        request,
        sealing_key=electing.sealing_key,
        place=place_of(configuration_hash, electing.signing_key, electing.boot),
        entropy=system_entropy,
    )
    return open_answer(electing.ask(sealed))
