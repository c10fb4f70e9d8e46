"""Goal: nodes talk over real sockets and certificates, and no peer can harm the others.

Method: whole meshes in one process; a hostile peer is a bare gRPC client or server with a real
certificate of the cluster. Nothing here measures time: every wait is for a state.
"""

import asyncio
import multiprocessing
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import grpc
import grpc.aio
import msgspec
import pytest
from tests.network.mesh_world import (
    Node,
    SkewedClock,
    TlsIdentity,
    World,
    connected,
    make_identity,
    run_node_forever,
    running,
    see_each_other,
    until,
)

from tetrarch.crypto.tls_identity import make_tls_identity
from tetrarch.entropy import system_entropy
from tetrarch.errors import InvariantBroken, ListenFailed
from tetrarch.network.certificates import CertificateUnusable, to_der, to_pem
from tetrarch.network.conduct import Fault
from tetrarch.network.frames import (
    BATCH_MESSAGES_MAX,
    FRAME_SIZE_MAX,
    PAYLOAD_SIZE_MAX,
    Hello,
    decode_frame,
    encode_batch,
    encode_hello,
    encode_ping,
)
from tetrarch.network.ports import Topic
from tetrarch.network.queues import INBOX_MESSAGES_MAX
from tetrarch.network.streams import PATH

HELLO = Hello(
    protocol=1,
    lock_hash=bytes(range(32)),
    index=0,
    instance=b"instance",
    builder_api=False,
    version="0.1.0",
    nickname="hostile",
)


@asynccontextmanager
async def dial(world: World, target: int, *, identity: TlsIdentity):
    """A bare stream to a node, as a caller with ``identity``."""
    credentials = grpc.ssl_channel_credentials(
        to_pem(world.identities[target].certificate_der),
        identity.key_pem,
        identity.certificate_pem,
    )
    options = (
        ("grpc.ssl_target_name_override", "node.tetrarch"),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_send_message_length", -1),
    )
    address = f"127.0.0.1:{world.ports[target]}"
    async with grpc.aio.secure_channel(address, credentials, options) as channel:
        yield channel.stream_stream(PATH)()


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    """How the other side ended the stream; reads whatever comes before."""
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    pytest.fail("the stream ended without a reason")


async def still_talk(first: Node, second: Node) -> None:
    """The two nodes exchange one message each way."""
    await see_each_other(first, second)
    sizes = len(first.received), len(second.received)
    assert first.mesh.send(second.mesh.own_index, Topic.CONSENSUS, b"still here")
    assert second.mesh.send(first.mesh.own_index, Topic.CONSENSUS, b"still here")
    await until(lambda: len(first.received) > sizes[0] and len(second.received) > sizes[1])


def test_four_nodes_exchange_messages_in_order() -> None:
    async def main() -> None:
        world = World()
        nodes = [world.node(index) for index in range(4)]
        async with running(*nodes):
            await connected(*nodes)
            for number in range(50):
                for node in nodes:
                    node.mesh.broadcast(Topic.CONSENSUS, b"%d" % number)
            assert nodes[0].mesh.send(3, Topic.PARTIAL_SIGNATURES, b"only for 3")
            await until(lambda: len(nodes[3].received) == 151)
            await until(lambda: all(len(node.received) == 150 for node in nodes[:3]))
        for node in nodes:
            for peer in node.mesh.peers:
                got = [p for who, topic, p in node.received if (who, topic) == (peer, 1)]
                assert got == [b"%d" % number for number in range(50)]
        assert (0, Topic.PARTIAL_SIGNATURES, b"only for 3") in nodes[3].received
        assert nodes[1].count("mesh_received_messages_total", peer="0", topic="consensus") == 50

    asyncio.run(main())


def test_certificates_of_the_cluster_files_serve() -> None:
    async def main() -> None:
        world = World(3)
        for index in range(3):
            tls = make_tls_identity(bytes([2]) + bytes([index]) * 32, entropy=system_entropy)
            world.identities[index] = TlsIdentity(
                tls.private_key_pem, tls.certificate_pem, to_der(tls.certificate_pem)
            )
        nodes = [world.node(index) for index in range(3)]
        async with running(*nodes):
            await connected(*nodes)

    asyncio.run(main())


def test_largest_message_arrives_and_a_larger_one_is_refused_at_home() -> None:
    async def main() -> None:
        world = World(2)
        first, second = world.node(0), world.node(1)
        async with running(first, second):
            await connected(first, second)
            largest = bytes(PAYLOAD_SIZE_MAX)
            assert not first.mesh.send(1, Topic.CONSENSUS, largest + b"x")
            assert first.mesh.send(1, Topic.CONSENSUS, largest)
            assert second.mesh.send(0, Topic.CONSENSUS, largest)
            await until(lambda: second.received and first.received)
            assert second.received == [(0, 1, largest)]
            assert first.received == [(1, 1, largest)]
        assert first.log.find("message_oversize", size_bytes=PAYLOAD_SIZE_MAX + 1)

    asyncio.run(main())


def test_streams_return_after_a_restart_on_either_side() -> None:
    async def main() -> None:
        world = World(3)
        first, second, third = (world.node(index) for index in range(3))
        greeted: list[int] = []

        def greet(peer: int) -> None:
            greeted.append(peer)
            first.mesh.send(peer, Topic.PRIORITY, b"hello")

        first.mesh.on_connected(greet)
        async with running(first, third):
            async with running(second):
                await connected(first, second, third)
            await until(lambda: first.mesh.connected_count() == third.mesh.connected_count() == 1)
            assert not first.mesh.send(1, Topic.CONSENSUS, b"nobody home")
            await still_talk(first, third)
            await until(lambda: first.log.find("peer_unreachable", peer=1))
            again = world.node(1)
            async with running(again):
                await connected(first, again, third)
                await still_talk(first, again)
                await still_talk(again, third)
            assert again.received[0] == (0, Topic.PRIORITY, b"hello")
            assert sorted(greeted) == [1, 1, 2]
        assert first.count("mesh_connections_total", peer="1") == 2
        assert first.log.find("peer_unreachable", peer=1)[0]["reason"] == "connection_refused"
        assert len(first.log.find("peer_disconnected", peer=1)) == 2

    asyncio.run(main())


@pytest.mark.parametrize("own_index", [0, 1], ids=["we dial", "we are dialled"])
def test_killed_process_is_missed_at_once_and_welcomed_back(own_index: int) -> None:
    async def main() -> None:
        world = World(2)
        node = world.node(own_index)
        context = multiprocessing.get_context("spawn")
        async with running(node):
            for _ in range(2):
                process = context.Process(
                    target=run_node_forever,
                    args=(1 - own_index, world.ports, world.identities),
                    daemon=True,
                )
                process.start()
                await connected(node)
                process.kill()
                await until(lambda: node.mesh.connected_count() == 0)
                process.join()
                process.close()
        assert node.count("mesh_connections_total", peer=str(1 - own_index)) == 2
        assert node.count("mesh_faults_total", peer=str(1 - own_index), code="peer_silent") == 0

    asyncio.run(main())


def test_node_with_a_strange_certificate_is_refused_by_both_sides() -> None:
    async def main() -> None:
        world = World(3)
        stranger = make_identity("node-1-imposter")
        keys = {
            "private_key_pem": stranger.key_pem,
            "certificate_pem": stranger.certificate_pem,
        }
        first, imposter, third = world.node(0), world.node(1, **keys), world.node(2)
        async with running(first, imposter, third):
            await until(lambda: first.mesh.connected_count() == 1)
            # Dialled, it cannot prove the pinned certificate; dialling, it is not let in.
            await until(lambda: first.log.find("peer_unreachable", reason="certificate_refused"))
            await until(lambda: imposter.log.find("peer_unreachable", peer=2))
            await still_talk(first, third)
            assert imposter.mesh.connected_count() == 0
        assert first.count("mesh_dial_failures_total", peer="1", reason="certificate_refused")

    asyncio.run(main())


def test_certificate_issued_by_a_peer_is_not_the_peers() -> None:
    async def main() -> None:
        world = World(3)
        second, third = world.node(1), world.node(2)
        issued = make_identity("issued", issuer="node-0")
        chained = replace(
            issued, certificate_pem=issued.certificate_pem + world.identities[0].certificate_pem
        )
        async with running(second, third), dial(world, 1, identity=chained) as call:
            code, details = await refusal(call)
            assert (code, details) == (
                grpc.StatusCode.FAILED_PRECONDITION,
                "certificate_unknown",
            )
            await until(lambda: second.mesh.connected_count() == 1)
            await still_talk(second, third)
        assert second.count("mesh_faults_total", peer="unknown", code="certificate_unknown") == 1
        assert len(second.log.find("caller_refused", code="certificate_unknown")) == 1

    asyncio.run(main())


def hello(**changes) -> bytes:
    return encode_hello(msgspec.structs.replace(HELLO, **changes))


@pytest.mark.parametrize(
    ("first_frame", "code"),
    [
        (b"\xff garbage", "frame_invalid"),
        (b"", "frame_invalid"),
        (hello()[:-1], "frame_invalid"),
        (hello(nickname="line\nbreak"), "frame_invalid"),
        (hello() + bytes(1600), "frame_oversize"),
        (encode_ping(1), "hello_missing"),
        (hello(protocol=2, protocol_min=2), "protocol_version_differs"),
        (hello(lock_hash=b"other cluster's".ljust(32)), "cluster_differs"),
        (hello(index=2), "index_differs"),
    ],
)
def test_bad_introduction_is_refused_by_name(first_frame: bytes, code: str) -> None:
    async def main() -> None:
        world = World(3)
        second, third = world.node(1), world.node(2)
        async with running(second, third):
            async with dial(world, 1, identity=world.identities[0]) as call:
                await call.write(first_frame)
                assert await refusal(call) == (grpc.StatusCode.FAILED_PRECONDITION, code)
            await until(lambda: second.mesh.connected_count() == 1)
            await still_talk(second, third)
            assert second.mesh.status()[0].last_fault == code
        assert second.count("mesh_faults_total", peer="0", code=code) == 1
        assert len(second.log.find("peer_fault", peer=0, code=code)) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x07", "frame_invalid"),
        (b"\x02\x01\x00\x00\x00\xffcut", "frame_invalid"),
        (hello(), "frame_invalid"),
        (b"\x04" + (99).to_bytes(8, "big") + bytes(8), "frame_invalid"),
        (encode_batch([(1, bytes(FRAME_SIZE_MAX))]), "frame_oversize"),
        (encode_batch([(1, b"")] * (BATCH_MESSAGES_MAX + 1)), "frame_oversize"),
    ],
    ids=["kind", "cut", "hello", "pong", "oversize", "batch"],
)
def test_garbage_ends_its_own_stream_only(frame: bytes, code: str) -> None:
    async def main() -> None:
        world = World(3)
        second, third = world.node(1), world.node(2)
        async with running(second, third):
            async with dial(world, 1, identity=world.identities[0]) as call:
                await call.write(hello())
                assert isinstance(decode_frame(await call.read()), Hello)
                await until(lambda: second.mesh.connected_count() == 2)
                await call.write(frame)
                assert await refusal(call) == (grpc.StatusCode.FAILED_PRECONDITION, code)
            await until(lambda: second.mesh.connected_count() == 1)
            await still_talk(second, third)
        assert second.count("mesh_faults_total", peer="0", code=code) == 1

    asyncio.run(main())


def test_what_a_peer_does_is_kept_explained_and_told() -> None:
    async def main() -> None:
        world = World(3)
        victim, honest = world.node(1), world.node(2)
        async with running(victim, honest):
            await see_each_other(victim, honest)
            honest.mesh.send(1, Topic.CONSENSUS, b"a vote")
            conduct = victim.mesh.conduct(2)
            await until(lambda: Topic.CONSENSUS in conduct.last_message_s)
            await until(lambda: conduct.latency_s is not None)
            victim.mesh.praise(2)
            async with dial(world, 1, identity=world.identities[0]) as call:
                await call.write(encode_hello(HELLO))
                await call.write(b"noise")
                assert (await refusal(call))[1] == "frame_invalid"
            assert [fault for _, fault in victim.mesh.conduct(0).faults] == [Fault.PROTOCOL]
            assert not victim.log.find("peer_misbehaves")
            victim.mesh.blame(0, "two_prepares")
            victim.mesh.blame(99, "two_prepares")  # nobody
            victim.mesh.praise(99)
            await until(lambda: victim.log.find("peer_misbehaves", peer=0))
            points = {each.index: each.points for each in victim.mesh.status()}
            assert [part.reason for part in points[0]] == ["equivocation", "protocol"]
            assert [part.reason for part in points[2]] == ["contributions"]
            (told,) = victim.log.find("peer_misbehaves")
            assert "equivocation" in told["why"]
        assert honest.mesh.conduct(0).failures_s == []

    asyncio.run(main())


def test_who_cannot_be_dialled_has_failures() -> None:
    async def main() -> None:
        world = World(2)
        alone = world.node(0)
        async with running(alone):
            conduct = alone.mesh.conduct(1)
            await until(lambda: len(conduct.failures_s) >= 2)
            (status,) = alone.mesh.status()
            assert [part.reason for part in status.points] == ["connection_failures"]
            assert status.score < 0
            async with running(world.node(1)):
                await until(lambda: conduct.met_s is not None)
                assert not conduct.failures_s

    asyncio.run(main())


def test_frame_beyond_what_grpc_takes_ends_its_own_stream_only() -> None:
    async def main() -> None:
        world = World(3)
        second, third = world.node(1), world.node(2)
        async with running(second, third):
            async with dial(world, 1, identity=world.identities[0]) as call:
                await call.write(hello())
                await until(lambda: second.mesh.connected_count() == 2)
                await call.write(bytes(2 * FRAME_SIZE_MAX + 1))
                code, _ = await refusal(call)
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            await until(lambda: second.mesh.connected_count() == 1)
            await still_talk(second, third)

    asyncio.run(main())


def test_dialled_peer_of_another_cluster_is_left() -> None:
    async def main() -> None:
        world = World(3)
        first, third = world.node(0), world.node(2)
        other = world.node(1, lock_hash=b"another cluster".ljust(32))
        async with running(first, other, third):
            await until(lambda: other.log.find("peer_fault", peer=0, code="cluster_differs"))
            await until(lambda: first.log.find("peer_unreachable", peer=1, reason="refused"))
            await until(lambda: third.log.find("peer_fault", peer=1, code="cluster_differs"))
            line = first.log.find("peer_unreachable", peer=1)[0]
            assert line["details"] == "cluster_differs"
            await still_talk(first, third)

    asyncio.run(main())


def test_higher_index_may_not_dial() -> None:
    async def main() -> None:
        world = World(2)
        first = world.node(0)
        async with running(first), dial(world, 0, identity=world.identities[1]) as call:
            # The certificate tells who dials, so the refusal can be there before anything is sent.
            with suppress(grpc.aio.AioRpcError):
                await call.write(hello(index=1))
            assert await refusal(call) == (
                grpc.StatusCode.FAILED_PRECONDITION,
                "direction_wrong",
            )

    asyncio.run(main())


def test_second_connection_replaces_the_first() -> None:
    async def main() -> None:
        world = World(3)
        second, third = world.node(1), world.node(2)
        zero = world.identities[0]
        async with (
            running(second, third),
            dial(world, 1, identity=zero) as old,
            dial(world, 1, identity=zero) as new,
        ):
            await old.write(hello())
            assert isinstance(decode_frame(await old.read()), Hello)
            await until(lambda: second.mesh.connected_count() == 2)
            await new.write(hello(instance=b"another!"))
            assert isinstance(decode_frame(await new.read()), Hello)
            while await old.read() is not grpc.aio.EOF:
                pass
            await new.write(encode_batch([(Topic.CONSENSUS, b"from the new one")]))
            await until(lambda: (0, 1, b"from the new one") in second.received)
            assert second.mesh.connected_count() == 2
        assert second.count("mesh_faults_total", peer="0", code="connection_replaced") == 1
        assert "must stop one" in second.log.find("peer_process_replaced")[0]["mend"]

    asyncio.run(main())


def test_peer_that_reads_nothing_costs_bounded_memory_and_delays_nobody() -> None:
    async def main() -> None:
        world = World(3)
        second, third = world.node(1), world.node(2)
        async with running(second, third), dial(world, 1, identity=world.identities[0]) as call:
            await call.write(hello())
            await until(lambda: second.mesh.connected_count() == 2)
            payload = bytes(1024 * 1024)
            for _ in range(100):
                assert second.mesh.send(0, Topic.CONSENSUS, payload)
                await asyncio.sleep(0)
            peer = second.mesh._peers[0]
            assert peer._link is not None
            assert peer._link.outbox._bytes <= 2 * FRAME_SIZE_MAX
            assert (
                second.count(
                    "mesh_dropped_messages_total", peer="0", topic="consensus", reason="outbox_full"
                )
                >= 50
            )
            await still_talk(second, third)

    asyncio.run(main())


def test_slow_handler_of_one_topic_delays_no_other_and_its_queue_is_bounded() -> None:
    async def main() -> None:
        world = World(2)
        first = world.node(0)
        second = world.node(1, topics=[Topic.CONSENSUS])
        gate, slow = asyncio.Event(), []

        async def verify_slowly(peer: int, payload: bytes) -> None:
            await gate.wait()
            slow.append(int(payload))

        second.mesh.subscribe(Topic.PARTIAL_SIGNATURES, verify_slowly)
        async with running(first, second):
            await connected(first, second)
            for number in range(3000):
                first.mesh.send(1, Topic.PARTIAL_SIGNATURES, b"%d" % number)
            first.mesh.send(1, Topic.CONSENSUS, b"urgent")
            await until(lambda: second.received)
            assert slow == []
            gate.set()
            await until(lambda: slow and slow[-1] == 2999)
            # The first was with the handler; of the others the newest were kept, in order.
            assert slow == [0, *range(3000 - INBOX_MESSAGES_MAX, 3000)] or slow == [
                *range(3000 - INBOX_MESSAGES_MAX, 3000)
            ]

    asyncio.run(main())


def test_builder_flag_that_differs_is_seen_on_both_sides() -> None:
    async def main() -> None:
        world = World(2)
        first, second = world.node(0), world.node(1, builder_api=True)
        async with running(first, second):
            await connected(first, second)
            for node, peer in ((first, "1"), (second, "0")):
                (status,) = node.mesh.status()
                assert status.builder_api_differs
                assert node.count("mesh_builder_api_differs", peer=peer) == 1
                assert node.log.find("builder_api_differs", peer=int(peer))
            assert first.mesh.status()[0].builder_api is True
            assert first.count("mesh_peer_info", peer="1", version="0.1.0", nickname="n1") == 1

    asyncio.run(main())


def test_wrong_clock_is_measured_and_named_on_every_node() -> None:
    async def main() -> None:
        world = World()
        nodes = [world.node(i) for i in range(3)] + [world.node(3, clock=SkewedClock(3.0))]
        async with running(*nodes):
            await until(lambda: nodes[3].log.find("own_clock_wrong"))
            await until(lambda: all(node.log.find("peer_clock_wrong") for node in nodes[:3]))
            offset_s = nodes[0].mesh.status()[2].clock_offset_s
            assert offset_s is not None
            assert 2.0 < offset_s < 4.0
            assert nodes[3].mesh.own_clock_offset_s is not None
        line = nodes[3].log.find("own_clock_wrong")[0]
        assert 2.0 < line["ahead_s"] < 4.0
        assert "synchronise this host's clock" in line["mend"]
        assert len(nodes[3].log.find("peer_clock_wrong")) == 0
        for node in nodes[:3]:
            assert [line["peer"] for line in node.log.find("peer_clock_wrong")] == [3]
        assert nodes[3].count("mesh_ping_rtt_seconds_count", peer="0") >= 3

    asyncio.run(main())


def test_port_in_use_names_address_and_mending() -> None:
    async def main() -> None:
        world = World(2)
        first, twin = world.node(0), world.node(0)
        async with running(first):
            with pytest.raises(ListenFailed) as raised:
                await twin.mesh.run()
        assert raised.value.exit_code == 69
        assert f"127.0.0.1:{world.ports[0]}" in str(raised.value)
        assert "Address already in use" in str(raised.value)
        assert "set another host and port" in str(raised.value)

    asyncio.run(main())


def test_broken_invariant_in_a_handler_stops_the_mesh() -> None:
    async def main() -> None:
        world = World(2)
        first, second = world.node(0), world.node(1, topics=[])

        async def broken(_peer: int, _payload: bytes) -> None:
            raise InvariantBroken("the code is wrong")

        second.mesh.subscribe(Topic.CONSENSUS, broken)

        async def poke() -> None:
            while True:
                first.mesh.broadcast(Topic.CONSENSUS, b"message")
                await asyncio.sleep(0.01)

        async with running(first), asyncio.TaskGroup() as group:
            poker = group.create_task(poke())
            with pytest.raises(InvariantBroken):
                await second.mesh.run()
            poker.cancel()
        assert second.log.find("invariant_broken", task="inbox-consensus")

    asyncio.run(main())


def test_certificates_that_cannot_serve_are_refused_before_anything_opens() -> None:
    world = World(2)
    with pytest.raises(CertificateUnusable, match="belongs to another"):
        world.node(0, private_key_pem=world.identities[1].key_pem)
    peer = world.settings(0).peers[0]
    with pytest.raises(CertificateUnusable, match=r"not X\.509"):
        world.node(0, peers=(replace(peer, certificate_der=b"garbage"),))
    twin = make_identity("node-0", issuer="node-0")
    with pytest.raises(CertificateUnusable, match="share one subject"):
        world.node(0, peers=(replace(peer, certificate_der=twin.certificate_der),))
