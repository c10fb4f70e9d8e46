"""The enclave as a real process: typed refusals, what it remembers, and every way to die."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.enclave.enclave_world import (
    OLD_CHAIN,
    block,
    chain,
    secret,
    validators,
    vote,
    write_share,
)

from tetrarch.crypto.bls import verify
from tetrarch.enclave import protocol
from tetrarch.enclave.client import EnclaveClient, _expect
from tetrarch.enclave.errors import (
    EnclaveGone,
    EnclaveRefused,
    PasswordWrong,
    ShareFileMissing,
    ShareInvalid,
    ShareSwapped,
    WrongChain,
)
from tetrarch.enclave.ports import Approved, Denied, Failed, SignRandao
from tetrarch.enclave.rules import Reason
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.storage.errors import FolderNotWritable, StorageInUse

# An enclave that dies by the signal of its argument between the durable record and the answer.
DYING = """
import os, socket, sys
from tetrarch.clock import SystemClock
from tetrarch.enclave.process import EnclaveProcess
die = lambda: os.kill(os.getpid(), 9)
EnclaveProcess(clock=SystemClock(), before_answer=die).serve(socket.socket(fileno=os.dup(0)))
"""
# An enclave whose disk takes no more bytes once it is configured.
FULL = """
import os, resource, socket
from tetrarch.clock import SystemClock
from tetrarch.enclave import protocol
from tetrarch.enclave.process import EnclaveProcess

class Full(EnclaveProcess):
    def answer(self, call):
        if isinstance(call.body, protocol.AskStatus):
            pages = self._opened.database.execute("PRAGMA page_count").fetchone()[0]
            limit = 1 << 30 if pages > 40 or self._limited else pages
            self._limited = True
            self._opened.database.execute(f"PRAGMA max_page_count = {limit}")
        return super().answer(call)
    _limited = False

Full(clock=SystemClock()).serve(socket.socket(fileno=os.dup(0)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def shares(folder: Path, count: int):
    keys = validators(count)
    return keys, [write_share(folder, key, name=f"share-{n}") for n, key in enumerate(keys)]


async def started(folder: Path, files, **options) -> EnclaveClient:
    client = await EnclaveClient.start(
        database=folder / "slashing.db", shares=files, answer_timeout_s=60, **options
    )
    try:
        await client.configure(OLD_CHAIN)
    except BaseException:
        await client.close()
        raise
    return client


def test_signs_what_the_rules_allow_with_the_roots_it_computed(folder: Path) -> None:
    (first, second), files = shares(folder, 2)

    async def main() -> None:
        client = await started(folder, files)
        requests = (
            vote(first.pubkey, 3, 4),
            vote(second.pubkey, 3, 4),
            block(first.pubkey, 40),
            SignRandao(second.pubkey, 12),
            vote(b"\1" * 48, 3, 4),
            vote(first.pubkey, 3, 4, head=b"other".ljust(32)),
            SignRandao(first.pubkey, 2**63),
        )
        answers = await client.sign(requests)
        data, header = requests[0].data, requests[2].header
        forks = OLD_CHAIN.forks
        expected = [
            (first, forks.signing_root(DomainType.BEACON_ATTESTER, 4, data.hash_tree_root())),
            (second, forks.signing_root(DomainType.BEACON_ATTESTER, 4, data.hash_tree_root())),
            (first, forks.signing_root(DomainType.BEACON_PROPOSER, 5, header.hash_tree_root())),
            (second, forks.signing_root(DomainType.RANDAO, 12, (12).to_bytes(32, "little"))),
        ]
        for answer, (validator, root) in zip(answers, expected, strict=False):
            assert isinstance(answer, Approved)
            assert verify(validator.share.public_key(), root, answer.signature)
        assert answers[4:] == (
            Denied(Reason.KEY_UNKNOWN),
            Denied(Reason.DOUBLE_VOTE),
            Denied(Reason.TOO_FAR_AHEAD),
        )
        assert await client.sign(()) == ()
        status = await client.status()
        assert status.pubkeys == tuple(sorted((first.pubkey, second.pubkey)))
        assert status.genesis_validators_root == forks.genesis_validators_root
        assert (status.blocks_recorded, status.votes_recorded) == (1, 2)
        assert "no_core" in status.protections
        await client.close()
        await client.close()

    asyncio.run(main())


def test_large_batches_keep_their_order_over_both_threads(folder: Path) -> None:
    keys, files = shares(folder, 40)

    async def main() -> None:
        client = await started(folder, files)
        answers = await client.sign(tuple(vote(key.pubkey, 3, 4) for key in keys))
        root = OLD_CHAIN.forks.signing_root(
            DomainType.BEACON_ATTESTER, 4, vote(b"", 3, 4).data.hash_tree_root()
        )
        assert answers == tuple(Approved(key.share.sign(root)) for key in keys)
        await client.close()

    asyncio.run(main())


def test_overlapping_calls_get_their_own_answers(folder: Path) -> None:
    (key,), files = shares(folder, 1)

    async def main() -> None:
        client = await started(folder, files)
        answers = await asyncio.gather(
            *(client.sign((SignRandao(key.pubkey, epoch),)) for epoch in range(20))
        )
        for epoch, (answer,) in enumerate(answers):
            root = OLD_CHAIN.forks.signing_root(
                DomainType.RANDAO, epoch, epoch.to_bytes(32, "little")
            )
            assert answer == Approved(key.share.sign(root))
        await client.close()

    asyncio.run(main())


def test_a_restarted_enclave_remembers(folder: Path) -> None:
    (key,), files = shares(folder, 1)

    async def session(request):
        client = await started(folder, files)
        (answer,) = await client.sign((request,))
        await client.close()
        return answer

    first = asyncio.run(session(vote(key.pubkey, 3, 4)))
    assert isinstance(first, Approved)
    assert asyncio.run(session(vote(key.pubkey, 3, 4))) == first
    assert asyncio.run(session(vote(key.pubkey, 2, 5))) == Denied(Reason.SOURCE_BELOW_FLOOR)
    other = vote(key.pubkey, 3, 4, head=b"x" * 32)
    assert asyncio.run(session(other)) == Denied(Reason.DOUBLE_VOTE)


def test_death_between_record_and_answer_leaves_no_way_to_a_second_vote(folder: Path) -> None:
    (key,), files = shares(folder, 1)

    async def main() -> None:
        dying = await started(folder, files, command=(sys.executable, "-c", DYING))
        with pytest.raises(EnclaveGone):
            await dying.sign((vote(key.pubkey, 3, 4), block(key.pubkey, 40)))
        with pytest.raises(EnclaveGone):
            await dying.status()
        await dying.close()
        again = await started(folder, files)
        answers = await again.sign(
            (
                vote(key.pubkey, 3, 4, head=b"x" * 32),
                block(key.pubkey, 40, body=b"x" * 32),
                vote(key.pubkey, 3, 4),
                block(key.pubkey, 40),
            )
        )
        assert answers[:2] == (Denied(Reason.DOUBLE_VOTE), Denied(Reason.DOUBLE_BLOCK))
        assert all(isinstance(answer, Approved) for answer in answers[2:])
        assert (await again.sign((vote(key.pubkey, 3, 4),)))[0] == answers[2]
        await again.close()

    asyncio.run(main())


def test_kill_9_amid_a_stream_of_batches_never_allows_a_conflict(folder: Path) -> None:
    """Goal: whatever was answered, or not, before the kill is binding after it.

    Method: votes of rising epochs are in flight when the process is killed; a new enclave is
    asked for a conflicting vote of every epoch that was asked for.
    """
    (key,), files = shares(folder, 1)

    async def main() -> None:
        client = await started(folder, files)
        calls = [client.sign((vote(key.pubkey, epoch, epoch + 1),)) for epoch in range(60)]
        answered: dict[int, bytes] = {}

        async def note(epoch: int, call) -> None:
            try:
                (answer,) = await call
            except EnclaveGone:
                return
            assert isinstance(answer, Approved)
            answered[epoch] = answer.signature
            if len(answered) == 20:
                os.kill(client.process_id, signal.SIGKILL)

        await asyncio.gather(*(note(epoch, call) for epoch, call in enumerate(calls)))
        assert 20 <= len(answered) < 60
        with pytest.raises(EnclaveGone):
            await client.watch()
        await client.close()
        again = await started(folder, files)
        for epoch, signature in answered.items():
            wish = vote(key.pubkey, epoch, epoch + 1, head=b"x" * 32)
            conflict, same = await again.sign((wish, vote(key.pubkey, epoch, epoch + 1)))
            assert conflict == Denied(Reason.DOUBLE_VOTE)
            assert same == Approved(signature)
        await again.close()

    asyncio.run(main())


def test_a_full_disk_fails_the_duty_and_nothing_else(folder: Path) -> None:
    keys, files = shares(folder, 12)

    async def main() -> None:
        client = await started(folder, files, command=(sys.executable, "-c", FULL))
        await client.status()  # from here on the disk is full
        results = []
        for epoch in range(40):
            batch = tuple(vote(key.pubkey, epoch, epoch + 1) for key in keys)
            results.append(await client.sign((*batch, SignRandao(keys[0].pubkey, 3))))
        assert isinstance(results[0][0], Approved), "there was room in the last page"
        failed = [result for result in results if isinstance(result[0], Failed)]
        assert failed, "the disk filled up"
        assert all(answer == Failed("storage_full") for answer in failed[-1][:-1])
        assert isinstance(failed[-1][-1], Approved), "a randao reveal needs no room"
        await client.status()  # there is room again
        lost = results.index(failed[0])
        conflicting = vote(keys[0].pubkey, lost, lost + 1, head=b"x" * 32)
        (answer,) = await client.sign((conflicting,))
        assert isinstance(answer, Approved), "what failed left no trace"
        await client.close()

    asyncio.run(main())


def test_the_node_notices_at_once_that_its_enclave_died(folder: Path) -> None:
    _, files = shares(folder, 1)

    async def main() -> None:
        client = await started(folder, files)

        async def node() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.watch())
                os.kill(client.process_id, signal.SIGKILL)
                group.create_task(asyncio.sleep(1000))

        with pytest.raises(ExceptionGroup) as caught:
            await node()
        assert caught.group_contains(EnclaveGone)
        await client.close()

        client = await started(folder, files)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.watch())
            await client.close()

    asyncio.run(main())


NODE = """
import asyncio, os, sys
from pathlib import Path
from tetrarch.enclave.client import EnclaveClient

async def main():
    client = await EnclaveClient.start(database=Path(sys.argv[1]), shares=())
    print(client.process_id, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def test_the_enclave_dies_with_its_node_and_frees_the_folder(folder: Path) -> None:
    async def main() -> None:
        node = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", NODE, str(folder / "slashing.db")),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await node.communicate()
        assert node.returncode == -9
        assert int(output) > 0
        for _ in range(500):
            try:
                client = await EnclaveClient.start(database=folder / "slashing.db", shares=())
            except StorageInUse:
                await asyncio.sleep(0.02)
            else:
                await client.close()
                return
        pytest.fail("the orphan still holds the folder")

    asyncio.run(main())


def test_two_enclaves_cannot_share_a_history(folder: Path) -> None:
    _, files = shares(folder, 1)

    async def main() -> None:
        client = await started(folder, files)
        with pytest.raises(StorageInUse, match=str(client.process_id)):
            await started(folder, files)
        await client.close()

    asyncio.run(main())


def damage_missing_keystore(folder, file):
    Path(file.keystore).unlink()


def damage_missing_password(folder, file):
    Path(file.password).unlink()


def damage_password(folder, file):
    Path(file.password).write_text("guess")


def damage_keystore(folder, file):
    Path(file.keystore).write_text(json.dumps({"version": 4, "crypto": "none"}))


def damage_json(folder, file):
    Path(file.keystore).write_text("{")


def damage_size(folder, file):
    Path(file.keystore).write_text(" " * 100_000)


def damage_encoding(folder, file):
    Path(file.password).write_bytes(b"\xff\xfe")


def damage_swapped(folder, file):
    (other,) = validators(3)[2:]
    swapped = write_share(folder, other, name="swapped")
    Path(file.keystore).write_bytes(Path(swapped.keystore).read_bytes())


@pytest.mark.parametrize(
    ("damage", "error", "named"),
    [
        (damage_missing_keystore, ShareFileMissing, "share-1.json"),
        (damage_missing_password, ShareFileMissing, "share-1.txt"),
        (damage_password, PasswordWrong, "share-1.txt"),
        (damage_keystore, ShareInvalid, "share-1.json"),
        (damage_json, ShareInvalid, "share-1.json"),
        (damage_size, ShareInvalid, "share-1.json"),
        (damage_encoding, ShareInvalid, "share-1.txt"),
        (damage_swapped, ShareSwapped, "share-1.json"),
    ],
)
def test_a_damaged_share_is_named(folder: Path, damage, error, named) -> None:
    _, files = shares(folder, 2)
    damage(folder, files[1])

    async def main() -> None:
        with pytest.raises(error, match=named) as caught:
            await started(folder, files)
        assert caught.value.mend
        assert "guess" not in str(caught.value)

    asyncio.run(main())


def test_a_history_serves_one_chain_for_good(folder: Path) -> None:
    _, files = shares(folder, 1)

    async def main() -> None:
        await (await started(folder, files)).close()
        client = await EnclaveClient.start(database=folder / "slashing.db", shares=files)
        with pytest.raises(WrongChain, match=r"0x0707.*0x0808"):
            await client.configure(chain(genesis_time_s=0, genesis_validators_root=b"\x08" * 32))
        (answer,) = await client.sign((SignRandao(files[0].pubkey, 1),))
        assert answer == Denied(Reason.NOT_CONFIGURED)
        await client.close()

    asyncio.run(main())


def test_a_database_that_cannot_be_made_is_named(folder: Path) -> None:
    async def main() -> None:
        with pytest.raises(FolderNotWritable, match="absent"):
            await EnclaveClient.start(database=folder / "absent" / "s.db", shares=())

    asyncio.run(main())


def test_no_secret_is_shown_by_the_process(folder: Path) -> None:
    (key,), files = shares(folder, 1)

    async def main() -> None:
        client = await started(folder, files)
        kernel = Path(f"/proc/{client.process_id}")
        assert key.share.to_bytes() not in (kernel / "cmdline").read_bytes()
        assert b"share" not in (kernel / "cmdline").read_bytes()
        await client.close()

    asyncio.run(main())
    assert repr(key.share) == "SecretKey(hidden)"


def test_a_second_open_is_refused(folder: Path) -> None:
    async def main() -> None:
        client = await started(folder, [])
        reply = await client._ask(protocol.Open(str(folder / "b.db"), ()))
        assert isinstance(reply, protocol.Refusal)
        with pytest.raises(EnclaveRefused, match="open already"):
            _expect(protocol.Done, reply)
        await client.close()

    asyncio.run(main())


def test_a_program_that_is_no_enclave_is_gone(folder: Path) -> None:
    async def main() -> None:
        for program in ("", "import os; os.write(0, bytes(100)); os.read(0, 1)"):
            with pytest.raises(EnclaveGone):
                await started(folder, [], command=(sys.executable, "-c", program))

    asyncio.run(main())
    assert secret("x") == secret("x")
