"""Goal: a TPM vouches for an enclave that is locked, from before its first secret to its end.

Method: real enclave processes, each with a TPM in Python on a socket.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.enclave.fake_tpm import FakeTpm

from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import HelloInvalid, MemberUnattested, session_of
from tetrarch.election.quorums import Mode
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_client import ElectionClient
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.errors import EnclaveRefused, TpmFailed, TpmMissing
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.entropy import system_entropy

SESSION = session_of(b"certificate")


def secret_in(folder: Path) -> SealSecret:
    folder.mkdir(exist_ok=True)
    make_key_file(folder / "seal-key", system_entropy)
    return SealSecret(Kind.KEY_FILE, folder / "seal-key")


@asynccontextmanager
async def launched(folder: Path, tpm: Path | None) -> AsyncIterator[EnclaveClient]:
    secret_in(folder)
    enclave = await EnclaveClient.launch(Confinement(writable=(folder,), tpm=tpm))
    try:
        yield enclave
    finally:
        await enclave.close()


async def member(
    enclave: EnclaveClient, folder: Path, allowed: tuple[Allowed, ...], source: int
) -> ElectionClient:
    return await ElectionClient.open(
        enclave,
        ElectionFiles(folder, secret_in(folder)),
        configuration=Configuration(
            members=("a:1", "b:2"),
            mode=Mode.CRASH,
            attestation=Demand.REQUIRE,
            allowed=tuple(sorted(allowed)),
        ),
        source=source,
        entropy=system_entropy,
    )


async def meet(one: ElectionClient, other: ElectionClient) -> str:
    """``one`` shows itself to ``other``; what ``other`` says of it."""
    hello = await one.say_hello(session=SESSION, nonce=await other.challenge())
    return (await other.take_hello(hello, session=SESSION)).measurement


@contextmanager
def two_tpms(folder: Path) -> Iterator[tuple[Path, Path]]:
    one, other = FakeTpm(seed=b"one"), FakeTpm(seed=b"other")
    with one.serve(folder / "s0") as first, other.serve(folder / "s1") as second:
        yield first, second


def test_members_attest_each_other_by_their_tpms(tmp_path: Path) -> None:
    async def main(first: Path, second: Path) -> None:
        a, b = tmp_path / "a", tmp_path / "b"
        async with launched(a, first) as one, launched(b, second) as other:
            assert str(Protection.SECCOMP) in await one.protections(), "it is locked"
            allowed = [
                await one.open_tpm(a, secret_in(a)),
                await other.open_tpm(b, secret_in(b)),
            ]
            assert allowed[0] != allowed[1]
            here = await member(one, a, tuple(allowed), 0)
            there = await member(other, b, tuple(allowed), 1)
            assert await meet(here, there) == allowed[0].measurement.hex()
            assert await meet(there, here) == allowed[1].measurement.hex()

            hello = await here.say_hello(session=SESSION, nonce=await there.challenge())
            await there.take_hello(hello, session=SESSION)
            with pytest.raises(HelloInvalid, match="no nonce that is open"):
                await there.take_hello(hello, session=SESSION)

    with two_tpms(tmp_path) as paths:
        asyncio.run(main(*paths))


def test_a_folder_moved_to_another_machine_is_refused(tmp_path: Path) -> None:
    async def main(first: Path, second: Path) -> None:
        a, b = tmp_path / "a", tmp_path / "b"
        async with launched(a, first) as one:
            own = await one.open_tpm(a, secret_in(a))
            assert await one.measurement() != own, "the process's own word is another matter"
        async with launched(a, second) as one, launched(b, None) as other:
            moved = await one.open_tpm(a, secret_in(a))
            assert moved != own
            here = await member(one, a, (own,), 0)
            there = await member(other, b, (own,), 1)
            with pytest.raises(MemberUnattested) as caught:
                await meet(here, there)
            assert caught.value.fields["measurement"] == moved.measurement.hex()
            with pytest.raises(MemberUnattested) as caught:
                await meet(there, here)
            assert caught.value.fields["back_end"] == "software", "its TPM was not opened"

    with two_tpms(tmp_path) as paths:
        asyncio.run(main(*paths))


def test_it_is_opened_once_and_in_time(tmp_path: Path) -> None:
    async def main(first: Path, _: Path) -> None:
        a = tmp_path / "a"
        async with launched(a, None) as enclave:
            with pytest.raises(EnclaveRefused, match="none was named"):
                await enclave.open_tpm(a, secret_in(a))
        async with launched(a, first) as enclave:
            entry = await enclave.open_tpm(a, secret_in(a))
            with pytest.raises(EnclaveRefused, match="open already"):
                await enclave.open_tpm(a, secret_in(a))
            await member(enclave, a, (entry,), 0)
        async with launched(a, first) as enclave:
            await member(enclave, a, (entry,), 0)
            with pytest.raises(EnclaveRefused, match="election is open already"):
                await enclave.open_tpm(a, secret_in(a))

    with two_tpms(tmp_path) as paths:
        asyncio.run(main(*paths))


def test_without_a_tpm_no_enclave_is_launched(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(TpmMissing, match=str(tmp_path / "absent")):
            async with launched(tmp_path, tmp_path / "absent"):
                pass

    asyncio.run(main())


def test_a_restarted_enclave_tells_whose_keys_it_knows(tmp_path: Path) -> None:
    async def main(first: Path, second: Path) -> None:
        a, b = tmp_path / "a", tmp_path / "b"
        async with launched(a, first) as one, launched(b, second) as other:
            allowed = (
                await one.open_tpm(a, secret_in(a)),
                await other.open_tpm(b, secret_in(b)),
            )
            here, there = await member(one, a, allowed, 0), await member(other, b, allowed, 1)
            assert here.pinned == (here.signing_key, None)
            await meet(there, here)
        async with launched(a, first) as one:
            await one.open_tpm(a, secret_in(a))
            again = await member(one, a, allowed, 0)
            assert again.pinned == (here.signing_key, there.signing_key)

    with two_tpms(tmp_path) as paths:
        asyncio.run(main(*paths))


def test_a_tpm_that_is_gone_is_named_when_evidence_is_due(tmp_path: Path) -> None:
    fake = FakeTpm()

    async def main(path: Path) -> None:
        a = tmp_path / "a"
        async with launched(a, path) as enclave:
            entry = await enclave.open_tpm(a, secret_in(a))
            here = await member(enclave, a, (entry,), 0)
            fake.keys.clear()  # as when somebody switches the simulator off and on
            with pytest.raises(TpmFailed):
                await here.say_hello(session=SESSION, nonce=bytes(32))
            assert len(await here.challenge()) == 32, "it goes on"

    with fake.serve(tmp_path / "s") as path:
        asyncio.run(main(path))
