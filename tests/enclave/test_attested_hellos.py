"""Goal: no stranger's evidence ends a locked enclave, which can load nothing while it verifies.

Method: a real enclave process in an election that requires evidence, and strangers who say hello.
"""

import asyncio
from pathlib import Path

import cbor2
import pytest
from omne_attest import vectors as amd
from tests.attestation.tpm2_quoted import DOCUMENT
from tests.election.enclaves import HONEST
from tests.vectors_path import vectors

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.attestation.verifier import Evidence, encode_evidence
from tetrarch.crypto.hpke import OpeningKey
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import Hello, MemberUnattested, session_of
from tetrarch.election.keys import SigningKey
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import Signed
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_client import ElectionClient
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.entropy import system_entropy

SESSION = session_of(b"certificate")
STRANGER = SigningKey(b"s" * 32)
C = Configuration(
    members=("a:1", "b:2", "c:3"),
    mode=Mode.CRASH,
    attestation=Demand.REQUIRE,
    allowed=(Allowed(BackEnd.SOFTWARE, b"x" * 32),),
)
# All that the CBOR library knows to make something of, and more.
TAGS = (*range(60), 100, 256, 258, 260, 261, 1004, 43000, 55799)


def strange_evidence() -> list[Evidence]:
    found = [
        Evidence(back_end, content, endorsements)
        for back_end in BackEnd
        for content in (b"", b"\xff" * 900, amd.attestation())
        for endorsements in ((), (b"{}",), (amd.vcek(), amd.ask(), amd.ark()))
    ]
    for tag in TAGS:
        for inner in ("x", 1, [1, 2], b"::1", {1: 2}):
            content = cbor2.dumps(cbor2.CBORTag(tag, inner))
            found.append(Evidence(BackEnd.NITRO, content))
    found.append(Evidence(BackEnd.SOFTWARE, HONEST.evidence(bytes(64), STRANGER.sign).document))
    return found


async def offer(election: ElectionClient, evidence: Evidence) -> str:
    """What the enclave says to a stranger with this evidence."""
    hello = Hello(
        configuration_hash=C.hash,
        source=1,
        signing_key=STRANGER.public,
        sealing_key=OpeningKey(b"o" * 32).public,
        boot=b"b" * 32,
        session=SESSION,
        nonce=await election.challenge(),
        evidence=encode_evidence(evidence),
    )
    signed = Signed(hello, STRANGER.sign(hello.signing_bytes))
    with pytest.raises(MemberUnattested) as caught:
        await election.take_hello(signed, session=SESSION)
    return str(caught.value.fields["why"])


async def offer_all(folder: Path, all_evidence: list[Evidence]) -> list[str]:
    make_key_file(folder / "seal-key", system_entropy)
    enclave = await EnclaveClient.launch(Confinement(writable=(folder,)))
    try:
        election = await ElectionClient.open(
            enclave,
            ElectionFiles(folder, SealSecret(Kind.KEY_FILE, folder / "seal-key")),
            configuration=C,
            source=0,
            entropy=system_entropy,
        )
        return [await offer(election, evidence) for evidence in all_evidence]
    finally:
        await enclave.close()


def test_strange_evidence_is_refused_and_the_enclave_goes_on(tmp_path: Path) -> None:
    whys = asyncio.run(offer_all(tmp_path, strange_evidence()))
    assert set(whys) == {"evidence_invalid", "evidence_foreign"}
    assert whys[-1] == "evidence_foreign", "the last one was genuine, about nothing"


def test_genuine_documents_of_others_are_verified_inside(tmp_path: Path) -> None:
    files = vectors("attestation")
    collateral = (files / "sgx-v3.collateral.json").read_bytes()
    chain = (amd.vcek(), amd.ask(), amd.ark())
    documents = [
        Evidence(BackEnd.NITRO, (files / "nitro-2022-debug.cose").read_bytes()),
        Evidence(BackEnd.SGX, (files / "sgx-v3.quote").read_bytes(), (collateral,)),
        Evidence(BackEnd.SEV_SNP, amd.attestation(), chain),
        Evidence(BackEnd.TPM2, DOCUMENT),
    ]
    whys = asyncio.run(offer_all(tmp_path, documents))
    assert whys[0] == "evidence_foreign"
    assert whys[1] in {"evidence_stale", "evidence_foreign"}, "its collateral is of 2025"
    assert whys[2:] == ["evidence_foreign", "evidence_foreign"]
