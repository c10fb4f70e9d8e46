"""Goal: an enclave that cannot be protected as demanded holds no key. Method: real processes.

What the lock itself keeps out is in ``test_escapes.py``.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.enclave.enclave_world import OLD_CHAIN, shares, vote
from tests.network.mesh_world import RecordingLog

from tetrarch.enclave import protocol
from tetrarch.enclave.client import EnclaveClient, _expect
from tetrarch.enclave.errors import EnclaveRefused, ProtectionMissing
from tetrarch.enclave.ports import Approved
from tetrarch.enclave.protections import Confinement, Protection, missing
from tetrarch.enclave.reporting import tell_protections

# An enclave on a host that offers less.
POOR = """
import tetrarch.enclave.{module}
tetrarch.enclave.{module}.{function} = lambda *_, **__: {value}
from tetrarch.clock import SystemClock
from tetrarch.enclave.process import run
run(SystemClock())
"""


def poor(module: str, function: str, value: object) -> tuple[str, ...]:
    text = POOR.format(module=module, function=function, value=value)
    return (sys.executable, "-c", text)


def test_names_without_their_versions_are_compared() -> None:
    assert missing((Protection.LANDLOCK, Protection.SECCOMP), ("landlock:7", "no_core")) == (
        Protection.SECCOMP,
    )
    assert missing((), ()) == ()


@pytest.mark.parametrize(
    ("protection", "command"),
    [
        (Protection.LANDLOCK, poor("landlock", "restrict", 0)),
        (Protection.SECCOMP, poor("seccomp", "restrict", False)),
        (Protection.OWN_NETWORK, poor("sandbox", "leave_host", ())),
        (Protection.MEMORY_LOCKED, poor("sandbox", "lock_memory", ())),
    ],
)
def test_what_is_required_and_missing_is_named_and_nothing_is_open(
    tmp_path: Path, protection: Protection, command: tuple[str, ...]
) -> None:
    (key,), files = shares(tmp_path, 1)

    async def main() -> None:
        start = partial(
            EnclaveClient.start, database=tmp_path / "slashing.db", shares=files, command=command
        )
        with pytest.raises(ProtectionMissing) as caught:
            await start(required=(protection,))
        assert caught.value.fields["missing"] == protection.value
        # The operator who accepts it gets an enclave that signs, and is told what it lacks.
        client = await start()
        log = RecordingLog()
        await tell_protections(client, log)
        (fields,) = [fields for _, event, fields in log.lines if event == "enclave_unprotected"]
        assert protection.value in fields["missing"]
        await client.configure(OLD_CHAIN)
        (answer,) = await client.sign((vote(key.pubkey, 3, 4),))
        assert isinstance(answer, Approved)
        await client.close()

    asyncio.run(main())


def test_memory_that_cannot_be_locked_leaves_no_key_behind_the_refusal(tmp_path: Path) -> None:
    """The node may ignore a refusal; the enclave must not go on."""
    _, files = shares(tmp_path, 1)

    async def main() -> None:
        confinement = Confinement(
            writable=(tmp_path,), readable=(tmp_path,), required=(Protection.MEMORY_LOCKED,)
        )
        command = poor("sandbox", "lock_memory", ())
        client = await EnclaveClient.launch(confinement, command=command)
        for _ in range(2):
            with pytest.raises(ProtectionMissing):
                await client.open(database=tmp_path / "slashing.db", shares=files)
            with pytest.raises(EnclaveRefused, match="Open"):
                await client.status()
        await client.close()

    asyncio.run(main())


def test_a_lock_is_for_good(tmp_path: Path) -> None:
    """Neither a second call nor one after the start makes more files reachable."""
    _, files = shares(tmp_path, 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _, others = shares(elsewhere, 1)

    async def main() -> None:
        confinement = Confinement(writable=(tmp_path / "own",))
        (tmp_path / "own").mkdir()
        client = await EnclaveClient.launch(confinement)
        wider = protocol.confine_call(Confinement(writable=(tmp_path,)))
        with pytest.raises(EnclaveRefused, match="locked already"):
            _expect(protocol.Done, await client._ask(wider))
        with pytest.raises(Exception, match="Permission denied"):
            await client.open(database=tmp_path / "own" / "slashing.db", shares=others)
        await client.close()
        client = await EnclaveClient.start(database=tmp_path / "own" / "a.db", shares=files)
        with pytest.raises(EnclaveRefused, match="open already"):
            _expect(protocol.Done, await client._ask(wider))
        await client.close()

    asyncio.run(main())
