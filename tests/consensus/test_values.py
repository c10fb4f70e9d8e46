"""Values: only wanted ones are taken, missing ones are asked for, old ones go."""

import asyncio

from tests.consensus.building import DUTY, A
from tests.consensus.cluster import cluster, run

from tetrarch.consensus.codec import hash_value
from tetrarch.consensus.ports import ConsensusPorts
from tetrarch.consensus.values import ANSWERS_MAX, Values

VALUE = b"some value"
V = hash_value(VALUE)


def ports_of(component: object) -> ConsensusPorts:
    ports = component._ports  # type: ignore[attr-defined] # what the component was built with
    assert isinstance(ports, ConsensusPorts)
    return ports


def test_only_expected_values_are_taken() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            values = Values(DUTY, ports_of(world.nodes[0].component))
            assert not values.take(VALUE)
            wanted = values.expect(V)
            assert not values.take(b"another")
            assert values.take(VALUE)
            assert await values.obtain(wanted, 3) == VALUE
            assert not values.take(VALUE), "nobody waits any more"
            assert values.get(V) == VALUE

    run(scenario)


def test_waiting_ends_when_the_value_matters_no_more() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            values = Values(DUTY, ports_of(world.nodes[0].component))
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(values.obtain(values.expect(V), 3))
                await asyncio.sleep(1)
                values.keep_only([A])
            assert waiting.result() is None
            sent = world.network.sent_count
            await asyncio.sleep(10)
            assert world.network.sent_count == sent, "nobody is asked any more"

    run(scenario)


def test_two_waiters_get_the_same_value() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            values = Values(DUTY, ports_of(world.nodes[0].component))
            async with asyncio.TaskGroup() as tasks:
                both = [tasks.create_task(values.obtain(values.expect(V), 3)) for _ in range(2)]
                await asyncio.sleep(0.1)
                assert values.take(VALUE)
            assert [waiting.result() for waiting in both] == [VALUE, VALUE]

    run(scenario)


def test_answers_to_a_peer_are_bounded() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            values = Values(DUTY, ports_of(world.nodes[0].component))
            assert values.answer(2, V) is None
            values.add_own(VALUE)
            answers = [values.answer(2, V) for _ in range(ANSWERS_MAX + 5)]
            assert sum(answer is not None for answer in answers) == ANSWERS_MAX
            assert values.answer(1, V) is not None

    run(scenario)


def test_values_that_nobody_names_are_dropped() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            values = Values(DUTY, ports_of(world.nodes[0].component))
            values.add_own(VALUE)
            values.add_own(b"other")
            values.keep_only([V])
            assert len(values) == 1

    run(scenario)
