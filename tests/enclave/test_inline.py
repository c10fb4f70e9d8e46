"""The enclave's whole path, asked at random, restarted at random, judged by brute force.

Goal: whatever is asked, in whatever batches, over crashes, prunings and moves of the history to
another machine, no two signatures that left it are slashable together.
"""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.enclave.enclave_world import (
    NOW_CHAIN,
    NOW_EPOCH,
    FixedClock,
    block,
    chain,
    validators,
    vote,
)

from tetrarch.enclave import history, interchange
from tetrarch.enclave.errors import EnclaveGone, WrongChain
from tetrarch.enclave.inline import InlineEnclave
from tetrarch.enclave.keys import BlsKeyRing, CallableKeyRing
from tetrarch.enclave.ports import Approved, Denied, Failed, SignBlock, SignRandao
from tetrarch.enclave.rules import Reason
from tetrarch.storage.inline import InlineDatabase

KEYS = (b"\x01" * 48, b"\x02" * 48)


class EchoShare:
    """Its signature is the signing root, so that equal signatures mean equal messages."""

    def sign(self, signing_root: bytes, /) -> bytes:
        return signing_root * 3


def enclave_on(database: InlineDatabase) -> InlineEnclave:
    keys = CallableKeyRing(dict.fromkeys(KEYS, EchoShare()))
    return InlineEnclave(storage=database, keys=keys, clock=FixedClock())


def slashable(one, other):
    if one.pubkey != other.pubkey or type(one) is not type(other) or one == other:
        return False
    if isinstance(one, SignBlock):
        return one.header.slot == other.header.slot
    a, b = one.data, other.data
    if a.target.epoch == b.target.epoch:
        return True
    first, last = sorted((a, b), key=lambda data: data.source.epoch)
    return first.source.epoch < last.source.epoch and last.target.epoch < first.target.epoch


requests = st.one_of(
    st.builds(
        vote,
        st.sampled_from(KEYS),
        st.integers(0, 12),
        st.integers(0, 12),
        head=st.sampled_from([b"h" * 32, b"i" * 32]),
    ),
    st.builds(
        block,
        st.sampled_from(KEYS),
        st.integers(0, 40),
        body=st.sampled_from([b"b" * 32, b"c" * 32]),
    ),
)
batches = st.lists(requests, min_size=1, max_size=5).map(tuple)


class EnclaveOverTime(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.database = InlineDatabase.open((history.SCHEMA,))
        self.signed: dict[Any, Approved] = {}
        self.pruned = False
        self.restart()

    def restart(self) -> None:
        self.enclave = enclave_on(self.database)
        asyncio.run(self.enclave.configure(NOW_CHAIN))

    @rule(batch=batches)
    def sign(self, batch) -> None:
        answers = asyncio.run(self.enclave.sign(batch))
        for request, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Approved):
                assert self.signed.setdefault(request, answer) == answer, "equal bytes again"
            else:
                assert isinstance(answer, Denied)
                assert request not in self.signed or self.pruned, "what was signed stays allowed"

    @rule(batch=batches, after_commit=st.booleans())
    def crash(self, batch, after_commit) -> None:
        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self.enclave.sign(batch))
                await asyncio.sleep(0)
                self.database.crash(after_commit=after_commit)
            assert task.cancelled(), "no signature leaves in a crash"

        asyncio.run(main())
        self.database = self.database.reopen((history.SCHEMA,))
        self.restart()

    @rule(batch=batches)
    def full_disk(self, batch) -> None:
        self.database.full = True
        answers = asyncio.run(self.enclave.sign(batch))
        self.database.full = False
        assert all(answer == Failed("storage_full") for answer in answers)

    @rule(keep=st.integers(0, 6))
    def prune(self, keep) -> None:
        asyncio.run(self.database.write(lambda c: history.prune(c, slots_per_epoch=8, keep=keep)))
        self.pruned = True

    @rule()
    def move_to_another_machine(self) -> None:
        async def main() -> InlineDatabase:
            document = await self.database.read(interchange.export)
            other = InlineDatabase.open((history.SCHEMA,))
            await other.write(lambda c: interchange.import_(c, document))
            return other

        self.database = asyncio.run(main())
        self.restart()
        self.pruned = True  # a floor may stand where the pruned rows were

    @invariant()
    def nothing_slashable_left(self) -> None:
        for one, other in itertools.combinations(self.signed, 2):
            assert not slashable(one, other), (one, other)


EnclaveOverTime.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestEnclaveOverTime = EnclaveOverTime.TestCase


def test_two_conflicting_requests_of_one_batch_get_one_signature() -> None:
    async def main() -> None:
        enclave = enclave_on(InlineDatabase.open((history.SCHEMA,)))
        await enclave.configure(NOW_CHAIN)
        batch = (
            vote(KEYS[0], 3, 4),
            vote(KEYS[0], 3, 4, head=b"x" * 32),
            vote(KEYS[1], 3, 4, head=b"x" * 32),
            vote(KEYS[0], 3, 4),
        )
        first, second, third, fourth = await enclave.sign(batch)
        assert isinstance(first, Approved)
        assert second == Denied(Reason.DOUBLE_VOTE)
        assert isinstance(third, Approved)
        assert fourth == first

    asyncio.run(main())


def test_nothing_far_ahead_of_its_own_clock_is_signed() -> None:
    async def main() -> None:
        enclave = enclave_on(InlineDatabase.open((history.SCHEMA,)))
        await enclave.configure(NOW_CHAIN)
        near, far = NOW_EPOCH + 1, NOW_EPOCH + 2
        answers = await enclave.sign(
            (
                vote(KEYS[0], near - 1, near),
                block(KEYS[0], near * 8 + 7),
                SignRandao(KEYS[0], near),
                vote(KEYS[0], far - 1, far),
                block(KEYS[0], far * 8),
                SignRandao(KEYS[0], far),
            )
        )
        assert [type(answer) for answer in answers] == [Approved] * 3 + [Denied] * 3
        assert answers[3:] == (Denied(Reason.TOO_FAR_AHEAD),) * 3
        status = await enclave.status()
        assert (status.blocks_recorded, status.votes_recorded) == (1, 1)

    asyncio.run(main())


def test_before_it_knows_the_chain_it_signs_nothing_and_it_serves_one_chain() -> None:
    async def main() -> None:
        database = InlineDatabase.open((history.SCHEMA,))
        enclave = enclave_on(database)
        assert await enclave.sign((SignRandao(KEYS[0], 1),)) == (Denied(Reason.NOT_CONFIGURED),)
        await enclave.configure(NOW_CHAIN)
        with pytest.raises(WrongChain):
            await enclave.configure(chain(genesis_time_s=0, genesis_validators_root=b"\x09" * 32))
        await enclave.close()
        with pytest.raises(EnclaveGone):
            await enclave.status()

    asyncio.run(main())


def test_the_key_ring_signs_as_each_share_does() -> None:
    keys = validators(9)
    wanted = [(key.pubkey, bytes([number % 3]) * 32) for number, key in enumerate(keys)]
    expected = [Approved(key.share.sign(root)) for key, (_, root) in zip(keys, wanted, strict=True)]
    for threads in (1, 2):
        ring = BlsKeyRing({key.pubkey: key.share for key in keys}, threads=threads)
        assert ring.sign(wanted) == expected
        begun = [ring.begin(wanted[start:]) for start in range(9)]
        assert [each() for each in reversed(begun)] == [
            expected[start:] for start in range(8, -1, -1)
        ]
        assert ring.sign([]) == []
        assert "9 keys" in repr(ring)
        ring.close()
