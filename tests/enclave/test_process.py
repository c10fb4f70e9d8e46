"""The enclave as a real process: typed refusals, what it remembers, and every way to die."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.enclave.enclave_world import (
    OLD_CHAIN,
    block,
    chain,
    shares,
    started,
    vote,
)

from tetrarch.crypto.bls import verify
from tetrarch.enclave import protocol
from tetrarch.enclave.client import EnclaveClient, _expect
from tetrarch.enclave.errors import (
    EnclaveGone,
    EnclaveRefused,
    WrongChain,
)
from tetrarch.enclave.ports import Approved, Denied, Failed, SignRandao
from tetrarch.enclave.rules import Reason
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.storage.errors import FolderNotWritable, StorageFull, StorageInUse

# An enclave that dies by the signal of its argument between the durable record and the answer.
DYING = """
import os, signal, socket, sys
from tetrarch.clock import SystemClock
from tetrarch.enclave.process import EnclaveProcess
die = lambda: signal.raise_signal(9)
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


def test_signs_what_the_rules_allow_with_the_roots_it_computed(tmp_path: Path) -> None:
    (first, second), files = shares(tmp_path, 2)

    async def main() -> None:
        client = await started(tmp_path, files)
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


def test_large_batches_keep_their_order_over_both_threads(tmp_path: Path) -> None:
    keys, files = shares(tmp_path, 40)

    async def main() -> None:
        client = await started(tmp_path, files)
        answers = await client.sign(tuple(vote(key.pubkey, 3, 4) for key in keys))
        root = OLD_CHAIN.forks.signing_root(
            DomainType.BEACON_ATTESTER, 4, vote(b"", 3, 4).data.hash_tree_root()
        )
        assert answers == tuple(Approved(key.share.sign(root)) for key in keys)
        await client.close()

    asyncio.run(main())


def test_overlapping_calls_get_their_own_answers(tmp_path: Path) -> None:
    (key,), files = shares(tmp_path, 1)

    async def main() -> None:
        client = await started(tmp_path, files)
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


def test_a_restarted_enclave_remembers(tmp_path: Path) -> None:
    (key,), files = shares(tmp_path, 1)

    async def session(request):
        client = await started(tmp_path, files)
        (answer,) = await client.sign((request,))
        await client.close()
        return answer

    first = asyncio.run(session(vote(key.pubkey, 3, 4)))
    assert isinstance(first, Approved)
    assert asyncio.run(session(vote(key.pubkey, 3, 4))) == first
    assert asyncio.run(session(vote(key.pubkey, 2, 5))) == Denied(Reason.SOURCE_BELOW_FLOOR)
    other = vote(key.pubkey, 3, 4, head=b"x" * 32)
    assert asyncio.run(session(other)) == Denied(Reason.DOUBLE_VOTE)


def test_death_between_record_and_answer_leaves_no_way_to_a_second_vote(tmp_path: Path) -> None:
    (key,), files = shares(tmp_path, 1)

    async def main() -> None:
        dying = await started(tmp_path, files, command=(sys.executable, "-c", DYING))
        with pytest.raises(EnclaveGone):
            await dying.sign((vote(key.pubkey, 3, 4), block(key.pubkey, 40)))
        with pytest.raises(EnclaveGone):
            await dying.status()
        await dying.close()
        again = await started(tmp_path, files)
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


def test_kill_9_amid_a_stream_of_batches_never_allows_a_conflict(tmp_path: Path) -> None:
    """Goal: whatever was answered, or not, before the kill is binding after it.

    Method: votes of rising epochs are in flight when the process is killed; a new enclave is
    asked for a conflicting vote of every epoch that was asked for.
    """
    (key,), files = shares(tmp_path, 1)

    async def main() -> None:
        client = await started(tmp_path, files)
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
        assert len(answered) >= 20
        with pytest.raises(EnclaveGone):
            await client.watch()
        await client.close()
        again = await started(tmp_path, files)
        for epoch, signature in answered.items():
            wish = vote(key.pubkey, epoch, epoch + 1, head=b"x" * 32)
            conflict, same = await again.sign((wish, vote(key.pubkey, epoch, epoch + 1)))
            assert conflict == Denied(Reason.DOUBLE_VOTE)
            assert same == Approved(signature)
        await again.close()

    asyncio.run(main())


def test_a_full_disk_fails_the_duty_and_nothing_else(tmp_path: Path) -> None:
    keys, files = shares(tmp_path, 12)

    async def main() -> None:
        client = await started(tmp_path, files, command=(sys.executable, "-c", FULL))
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


def test_a_disk_too_full_to_be_bound_to_a_chain_is_told_as_such() -> None:
    refusal = protocol.Refusal("storage_full", "commit", {"path": "enclave.sqlite"})
    with pytest.raises(StorageFull, match=r"enclave\.sqlite"):
        _expect(protocol.Done, refusal)


def test_the_node_notices_at_once_that_its_enclave_died(tmp_path: Path) -> None:
    _, files = shares(tmp_path, 1)

    async def main() -> None:
        client = await started(tmp_path, files)

        async def node() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.watch())
                os.kill(client.process_id, signal.SIGKILL)
                group.create_task(asyncio.sleep(1000))

        with pytest.raises(ExceptionGroup) as caught:
            await node()
        assert caught.group_contains(EnclaveGone)
        await client.close()

        client = await started(tmp_path, files)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.watch())
            await client.close()

    asyncio.run(main())


NODE = """
import asyncio, signal, sys
from pathlib import Path
from tetrarch.enclave.client import EnclaveClient

async def main():
    client = await EnclaveClient.start(database=Path(sys.argv[1]), shares=())
    print(client.process_id, flush=True)
    signal.raise_signal(9)

asyncio.run(main())
"""


def test_the_enclave_dies_with_its_node_and_frees_the_folder(tmp_path: Path) -> None:
    async def main() -> None:
        node = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", NODE, str(tmp_path / "slashing.db")),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await node.communicate()
        assert node.returncode == -9
        assert int(output) > 0
        for _ in range(500):
            try:
                client = await EnclaveClient.start(database=tmp_path / "slashing.db", shares=())
            except StorageInUse:
                await asyncio.sleep(0.02)
            else:
                await client.close()
                return
        pytest.fail("the orphan still holds the folder")

    asyncio.run(main())


def test_two_enclaves_cannot_share_a_history(tmp_path: Path) -> None:
    _, files = shares(tmp_path, 1)

    async def main() -> None:
        client = await started(tmp_path, files)
        with pytest.raises(StorageInUse, match=str(client.process_id)):
            await started(tmp_path, files)
        await client.close()

    asyncio.run(main())


def test_a_history_serves_one_chain_for_good(tmp_path: Path) -> None:
    _, files = shares(tmp_path, 1)

    async def main() -> None:
        await (await started(tmp_path, files)).close()
        client = await EnclaveClient.start(database=tmp_path / "slashing.db", shares=files)
        with pytest.raises(WrongChain, match=r"0x0707.*0x0808"):
            await client.configure(chain(genesis_time_s=0, genesis_validators_root=b"\x08" * 32))
        (answer,) = await client.sign((SignRandao(files[0].pubkey, 1),))
        assert answer == Denied(Reason.NOT_CONFIGURED)
        await client.close()

    asyncio.run(main())


def test_a_database_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(FolderNotWritable, match="absent"):
            await EnclaveClient.start(database=tmp_path / "absent" / "s.db", shares=())

    asyncio.run(main())


def test_no_secret_is_shown_by_the_process(tmp_path: Path) -> None:
    (key,), files = shares(tmp_path, 1)

    async def main() -> None:
        client = await started(tmp_path, files)
        kernel = Path(f"/proc/{client.process_id}")
        assert key.share.to_bytes() not in (kernel / "cmdline").read_bytes()
        assert b"share" not in (kernel / "cmdline").read_bytes()
        await client.close()

    asyncio.run(main())
    assert repr(key.share) == "SecretKey(hidden)"


def test_a_second_open_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        client = await started(tmp_path, [])
        reply = await client._ask(protocol.Open(str(tmp_path / "b.db"), ()))
        assert isinstance(reply, protocol.Refusal)
        with pytest.raises(EnclaveRefused, match="open already"):
            _expect(protocol.Done, reply)
        await client.close()

    asyncio.run(main())


def test_a_program_that_is_no_enclave_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        for program in ("", "import os; os.write(0, bytes(100)); os.read(0, 1)"):
            with pytest.raises(EnclaveGone):
                await started(tmp_path, [], command=(sys.executable, "-c", program))

        with pytest.raises(EnclaveGone, match="no-such-program"):
            await started(tmp_path, [], command=("/no-such-program",))

    asyncio.run(main())
