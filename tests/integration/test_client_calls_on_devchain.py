"""Goal: all duties of five epochs, in every fork, in the forms in which real clients speak.

Method: four nodes as processes over a development chain, each with a scripted client that holds its
share keystores and replays the recorded call table: two in SSZ, two in JSON. Three of
the four must agree to sign anything, so a form that a node reads wrongly shows as a missed duty.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.integration.processes import Devchain, NodeProcess, create_cluster, running
from tests.integration.scripted_client import LODESTAR, LODESTAR_SSZ, VERO, Form, ScriptedClient
from tests.integration.whole_epochs import (
    SLOT_S,
    SLOTS,
    SLOTS_PER_EPOCH,
    SYNC_MEMBERS,
    check_every_duty,
)
from tests.ports import free_ports

from tetrarch.cluster.files import VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.keystore_files import keystore_paths, open_keystore
from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.tls_identity import make_tls_identity
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.client import connect_beacon_node

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

KEYS = range(8)
TLS_CLOSES_S = 0.25  # aiohttp ends TLS connections after it has closed the session
TOKEN, CERTIFICATE = "a-token-of-some-length", "api.crt"  # of the first node
ONE_EPOCH = SLOTS[:SLOTS_PER_EPOCH]
# Answers in SSZ to those who prefer it.
SSZ_CALLS = {"GET /eth/v1/validator/attestation_data", "GET /eth/v3/validator/blocks/N"}
CLIENTS = (LODESTAR, LODESTAR_SSZ, VERO, VERO)


@pytest.mark.parametrize(
    ("fork", "forms", "slots"),
    [
        pytest.param("altair", CLIENTS, SLOTS, id="altair"),
        pytest.param("deneb", CLIENTS, SLOTS, id="deneb"),
        pytest.param("electra", CLIENTS, SLOTS, id="electra"),
        pytest.param("fulu", CLIENTS, SLOTS, id="fulu"),
        # Two enclaves and two clients: neither kind is enough without the other.
        pytest.param("electra", (LODESTAR_SSZ, None, VERO, None), ONE_EPOCH, id="mixed"),
    ],
)
def test_recorded_calls(
    tmp_path: Path,
    tell: Callable[[object], None],
    fork: str,
    forms: tuple[Form | None, ...],
    slots: range,
) -> None:
    """``forms``: how each node's client speaks; None where the node signs by itself."""
    cluster = create_cluster(tmp_path, KEYS)
    chain = Devchain(
        tmp_path, *SYNC_MEMBERS, validators=len(KEYS), start_s=10, fork=fork, slot_s=SLOT_S
    )
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
        clients = asyncio.run(_run_clients(homes, chain.url, slots))
        done = check_every_duty(chain, nodes, slots)
        for client in clients:
            assert client.heads > 0, client.form.name
            in_ssz = {call for call, _, ssz in client.calls if ssz}
            assert (in_ssz >= SSZ_CALLS) == (client.form.accept != VERO.accept), client.calls
        calls = sum(sum(client.calls.values()) for client in clients)
        tell(f"{done}; {calls} calls, all answered 200")


async def _run_clients(
    homes: list[tuple[Form, str, Path]], chain_url: str, slots: range
) -> list[ScriptedClient]:
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
                tasks.create_task(
                    client.run(strict_from_slot=slots.start, until_slot=slots.stop + 1)
                )
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
