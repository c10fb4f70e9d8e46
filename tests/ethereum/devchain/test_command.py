"""``tetrarch devchain`` as a process, and our own beacon client against it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.ethereum.devchain.served import GENESIS_S, StillClock, served

from tetrarch.cli.devchain import parse_activations, parse_indices
from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.beacon_node.client import connect_beacon_node
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import (
    BUILDER_BOOST_ALWAYS,
    AttestationSubmission,
    BlockRequest,
)
from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.devchain.keys import interop_key, interop_public_key
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.proposals import sign_proposal
from tetrarch.ethereum.spec.values import Fork

COMMAND = (sys.executable, "-m", "tetrarch", "devchain")


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """The process, and what it said when it began to listen."""
    with subprocess.Popen(
        [*COMMAND, "--json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield process, json.loads(line)
        finally:
            process.kill()


def test_command_serves_until_a_signal() -> None:
    arguments = ("--port", "0", "--slot-seconds", "0.5", "--genesis-delay", "0")
    with started(*arguments, "--self-run", "0..15", "--validators", "16") as (process, said):
        url = str(said["url"])

        async def follow() -> int:
            async with connect_beacon_node(url) as node:
                async for event in node.events(("head",)):
                    return int(str(event.data["slot"]))
            raise AssertionError("the stream ended")

        assert asyncio.run(follow()) >= 1
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=20)
        assert process.returncode == 0, error
        assert json.loads(out)["event"] == "stopped"
        assert error == ""


def test_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 69  # EX_UNAVAILABLE
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "listen_failed" in done.stderr
    assert port in done.stderr
    assert "set another host and port" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--fork", "capella"),
        ("--preset", "huge"),
        ("--self-run", "a..b"),
        ("--activate-later", "7"),
    ],
)
def test_wrong_option_is_one_clear_line(wrong: tuple[str, str]) -> None:
    done = subprocess.run(
        [*COMMAND, *wrong], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert wrong[0] in done.stderr


def test_ranges_of_validators() -> None:
    assert parse_indices("") == ()
    assert parse_indices("8..10, 1") == (1, 8, 9, 10)
    for wrong in ("1..", "-1", "1...3"):
        with pytest.raises(ConfigInvalid):
            parse_indices(wrong)


def test_validators_of_later_epochs() -> None:
    assert parse_activations(()) == ()
    assert parse_activations(("7@3", "4..5@2")) == ((7, 3), (4, 2), (5, 2))
    for wrong in ("7", "@3", "7@", "7@-1", "7@3@4", "a@3"):
        with pytest.raises(ConfigInvalid, match="--activate-later"):
            parse_activations((wrong,))


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("builder", [False, True])
def test_own_client_does_a_duty_of_each_kind(fork: Fork, builder: bool) -> None:
    async def main() -> None:
        clock = StillClock(1)
        options = {"fork": fork, "validators": 16, "builder": builder}
        async with (
            served(clock, **options) as (server, _judged),
            connect_beacon_node(server.url) as node,
        ):
            spec = await node.chain_spec()
            assert spec == server.chain.spec or spec.forks.at(0).fork is fork
            assert spec.genesis_time_s == GENESIS_S
            keys = tuple(interop_public_key(index) for index in range(16))
            records = await node.validators(keys)
            assert [record.index for record in records] == list(range(16))
            duty = (await node.proposer_duties(0)).duties[1]
            signer = interop_key(duty.validator_index)
            root = spec.forks.signing_root(DomainType.RANDAO, 0, bytes(32))
            request = BlockRequest(
                slot=1,
                randao_reveal=signer.sign(root),
                builder_boost_factor=BUILDER_BOOST_ALWAYS,
            )
            proposal = await node.produce_block(request)
            assert proposal.blinded == (builder and fork.at_least(Fork.DENEB))
            root = proposal.hash_tree_root()
            root = spec.forks.signing_root(DomainType.BEACON_PROPOSER, 0, root)
            with pytest.raises(BeaconNodeRefused):
                await node.publish_block(sign_proposal(proposal, bytes(96)))
            await node.publish_block(sign_proposal(proposal, signer.sign(root)))
            assert (await node.head()).root == proposal.hash_tree_root()

            duties = await node.attester_duties(0, tuple(range(16)))
            mine = next(each for each in duties.duties if each.slot == 1)
            data = await node.attestation_data(1, mine.committee_index)
            root = spec.forks.signing_root(DomainType.BEACON_ATTESTER, 0, data.hash_tree_root())
            submission = AttestationSubmission(
                data=data,
                signature=interop_key(mine.validator_index).sign(root),
                validator_index=mine.validator_index,
                committee_index=mine.committee_index,
                committee_length=mine.committee_length,
                validator_committee_index=mine.validator_committee_index,
            )
            await node.submit_attestations(fork, (submission,))
            rows = server.chain.reports.to_json(3000 + 6000)
            done = {(row["type"], row["status"]) for row in rows if row["slot"] == 1}
            assert ("attester", "in_time") in done

    asyncio.run(main())
