"""Goal: all duties, in every fork, in the forms in which real distributed clients speak.

Method: four nodes as processes over a development chain, each with a scripted client that holds its
share keystores and replays the recorded call table: two in SSZ, two in JSON. Three of
the four must agree to sign anything, so a form that a node reads wrongly shows as a missed duty.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.integration.processes import Devchain, NodeProcess, create_cluster, get_json, running
from tests.integration.scripted_client import LODESTAR, LODESTAR_SSZ, VERO, Form, ScriptedClient
from tests.ports import free_ports

from tetrarch.cluster.certificates import make_tls_identity
from tetrarch.cluster.files import VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.keystore_files import keystore_paths, open_keystore
from tetrarch.crypto.bls import SecretKey
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.client import connect_beacon_node

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

KEYS = range(8)
TLS_CLOSES_S = 0.25  # aiohttp ends TLS connections after it has closed the session
TOKEN, CERTIFICATE = "a-token-of-some-length", "api.crt"  # of the first node
# In the first epoch the nodes find each other, and agree on what all of them can do: contributions
# for several subcommittees begin with the second.
FIRST_SLOT = 9
UNTIL_SLOT = 13
# Duties of nodes beside those that the chain reports; all of them end in a submission or a proof.
OTHERS = (
    "prepare_aggregator",
    "aggregator",
    "sync_message",
    "prepare_sync_contribution",
    "sync_contribution",
)
SUBMITTED = ("aggregator", "sync_message", "sync_contribution")
# Answers in SSZ to those who prefer it.
SSZ_CALLS = {"GET /eth/v1/validator/attestation_data", "GET /eth/v3/validator/blocks/N"}
CLIENTS = (LODESTAR, LODESTAR_SSZ, VERO, VERO)


@pytest.mark.parametrize(
    ("fork", "forms"),
    [
        pytest.param("altair", CLIENTS, id="altair"),
        pytest.param("deneb", CLIENTS, id="deneb"),
        pytest.param("electra", CLIENTS, id="electra"),
        pytest.param("fulu", CLIENTS, id="fulu"),
        # Two enclaves and two clients: neither kind is enough without the other.
        pytest.param("electra", (LODESTAR_SSZ, None, VERO, None), id="mixed"),
    ],
)
def test_recorded_calls(
    tmp_path: Path, tell: Callable[[object], None], fork: str, forms: tuple[Form | None, ...]
) -> None:
    """``forms``: how each node's client speaks; None where the node signs by itself."""
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(tmp_path, validators=len(KEYS), start_s=10, fork=fork, slot_s=4)
    ports = free_ports(4)
    mode = ("--signing", "validator_client", "--validator-api-port")
    nodes = [
        NodeProcess(i, cluster, chain.url, *(() if form is None else (*mode, port)))
        for i, (port, form) in enumerate(zip(ports, forms, strict=True))
    ]
    protect(nodes[0].folder)
    homes = [
        (form, f"http{'s' * (node is nodes[0])}://127.0.0.1:{port}", node.folder)
        for form, port, node in zip(forms, ports, nodes, strict=True)
        if form is not None
    ]
    with running(chain, *nodes):
        clients = asyncio.run(_run_clients(homes, chain.url))
        report = chain.report()
        told = "\n".join(node.tail(50) for node in nodes)
        slots = range(FIRST_SLOT, UNTIL_SLOT - 1)
        due = [duty for duty in report["duties"] if duty["slot"] in slots]
        assert report["slashable"] == []
        assert {duty["status"] for duty in due} <= {"in_time", "late"}, f"{due}\n{told}"
        assert {duty["type"] for duty in due} == {"attester", "proposer"}
        made = {node.name: _count(node, slots, "aggregated") for node in nodes}
        for name, counted in made.items():
            assert counted == dict.fromkeys(OTHERS, len(slots)), f"{name}: {counted}\n{told}"
        # One chain process takes what four nodes submit: on a busy machine some of it is late.
        submitted = [_count(node, slots, "submitted") for node in nodes]
        for kind in SUBMITTED:
            assert any(counted[kind] for counted in submitted), f"{kind}: {submitted}\n{told}"
        bits = _sync_bits(chain, slots)
        assert set(bits) == {32}, f"sync messages in the blocks: {bits}\n{told}"
        for client in clients:
            assert client.heads > 0, client.form.name
            in_ssz = {call for call, _, ssz in client.calls if ssz}
            assert (in_ssz >= SSZ_CALLS) == (client.form.accept != VERO.accept), client.calls
        late = sum(duty["status"] == "late" for duty in due)
        calls = sum(sum(client.calls.values()) for client in clients)
        others = sum(sum(counted.values()) for counted in made.values())
        taken = sum(counted[kind] for counted in submitted for kind in SUBMITTED)
        tried = len(SUBMITTED) * len(nodes) * len(slots)
        tell(
            f"{fork}: {len(due)} votes and blocks, none missed, {late} late; {others} others,"
            f" none missed, {taken} of {tried} submissions in time; {calls} calls, all answered 200"
        )


def _count(node: NodeProcess, slots: range, step: str) -> dict[str, int]:
    """Of how many slots the duties of each other kind have come to ``step`` at ``node``."""
    duties = [duty for duty in node.duties() if duty["slot"] in slots and step in duty["at_ms"]]
    found = Counter(duty["type"] for duty in duties)
    return {kind: found[kind] for kind in OTHERS}


def _sync_bits(chain: Devchain, slots: range) -> list[int]:
    """How many of the sync committee's messages each block of ``slots`` carries."""
    counts = []
    for slot in slots:
        block = get_json(f"{chain.url}/eth/v2/beacon/blocks/{slot + 1}")["data"]["message"]
        bits = bytes.fromhex(block["body"]["sync_aggregate"]["sync_committee_bits"][2:])
        counts.append(sum(byte.bit_count() for byte in bits))
    return counts


async def _run_clients(homes: list[tuple[Form, str, Path]], chain_url: str) -> list[ScriptedClient]:
    async with connect_beacon_node(chain_url) as beacon_node:
        spec = await beacon_node.chain_spec()
    async with AsyncExitStack() as stack:
        clients = [
            ScriptedClient(
                form,
                url,
                share_keys(folder),
                spec,
                await stack.enter_async_context(_opened(folder)),
            )
            for form, url, folder in homes
        ]
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.run(strict_from_slot=FIRST_SLOT, until_slot=UNTIL_SLOT))
    await asyncio.sleep(TLS_CLOSES_S)
    return clients


def protect(node: Path) -> None:
    """Have ``node`` ask its client for a token, and speak TLS only."""
    identity = make_tls_identity(b"\x02" * 33, entropy=system_entropy)
    (node / CERTIFICATE).write_bytes(identity.certificate_pem)
    (node / "api.key").write_bytes(identity.private_key_pem)
    (node / "api.token").write_text(TOKEN)
    with (node / "tetrarch.toml").open("a") as settings:
        settings.write(
            f'[validator_api]\ntoken_file = "api.token"\ntls_certificate_file = "{CERTIFICATE}"\n'
            'tls_private_key_file = "api.key"\n'
        )


def _opened(node: Path) -> aiohttp.ClientSession:
    """A session of the client of ``node``, with what the node asks for."""
    timeout = aiohttp.ClientTimeout(total=12)
    if not (node / CERTIFICATE).exists():
        return aiohttp.ClientSession(timeout=timeout)
    trusting = ssl.create_default_context(cafile=str(node / CERTIFICATE))
    trusting.check_hostname = False  # the one certificate that is trusted
    connector = aiohttp.TCPConnector(ssl=trusting)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers)


def share_keys(node: Path) -> dict[bytes, SecretKey]:
    """The share keys of a node, as its validator client would import them."""
    opened = (open_keystore(path) for path in keystore_paths(node / VALIDATOR_KEYS_FOLDER))
    return {key.public_key(): key for key in opened}
