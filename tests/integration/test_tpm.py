"""Goal: what enclaves rest on holds with a TPM that is not ours.

Method: swtpm on sockets, used directly, by locked enclave processes, and by an election's members.
"""

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from msgspec.msgpack import decode
from msgspec.structs import replace
from tests.enclave.test_tpm_calls import SESSION, launched, meet, member, secret_in
from tests.enclave.tpm_contract import AUTH, CHECKS, INDEX, made, value_of
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    create_cluster,
    run_tetrarch,
    running,
    wait_for,
)
from tests.integration.software_tpm import software_tpms
from tests.integration.test_cluster_election import NODES, leader_known_to
from tests.integration.test_election_processes import Election, until

from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.policy import Allowed
from tetrarch.attestation.tpm2 import Document, encode_document
from tetrarch.attestation.verifier import Evidence, decode_evidence, verify
from tetrarch.election.hello import HelloInvalid, MemberUnattested
from tetrarch.enclave.protections import Protection
from tetrarch.enclave.tpm_attesting import TpmAttester
from tetrarch.enclave.tpm_commands import Tpm, command
from tetrarch.enclave.tpm_device import TpmDevice
from tetrarch.entropy import system_entropy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PCR_EXTEND, CLEAR, UNDEFINE = 0x182, 0x126, 0x122
OWNER, LOCKOUT = 0x40000001, 0x4000000A


def extend(device: TpmDevice, register: int) -> None:
    digests = (1).to_bytes(4, "big") + b"\0\x0b" + b"d" * 32
    response = device.exchange(command(PCR_EXTEND, (register,), (b"",), digests))
    assert response[6:10] == bytes(4)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract_is_kept(tmp_path: Path, check: Callable[[Tpm], None]) -> None:
    with software_tpms(tmp_path, 1) as (tpm,), closing(TpmDevice.open(tpm.socket)) as device:
        check(Tpm(device.exchange))


def test_a_key_comes_back_after_a_restart_and_a_clear_and_on_no_other_tpm(tmp_path: Path) -> None:
    names = []
    with software_tpms(tmp_path, 2) as (tpm, other):
        for prepare in (lambda: None, lambda: None, tpm.restart, lambda: None):
            prepare()
            with closing(TpmDevice.open(tpm.socket)) as device:
                names.append(made(Tpm(device.exchange)).public.name)  # left behind, each time
                cleared = device.exchange(command(CLEAR, (LOCKOUT,), (b"",), b""))
                assert cleared[6:10] == bytes(4)
        with closing(TpmDevice.open(other.socket)) as device:
            assert made(Tpm(device.exchange)).public.name not in names
    assert len(set(names)) == 1


def test_locked_enclaves_attest_each_other(tmp_path: Path) -> None:
    async def main(first: Path, second: Path) -> Evidence:
        a, b = tmp_path / "a", tmp_path / "b"
        async with launched(a, first) as one, launched(b, second) as other:
            assert str(Protection.SECCOMP) in await one.protections()
            allowed = (
                await one.open_tpm(a, secret_in(a)),
                await other.open_tpm(b, secret_in(b)),
            )
            here, there = await member(one, a, allowed, 0), await member(other, b, allowed, 1)
            assert await meet(here, there) == allowed[0].measurement.hex()
            assert await meet(there, here) == allowed[1].measurement.hex()
            hello = await here.say_hello(session=SESSION, nonce=await there.challenge())
            await there.take_hello(hello, session=SESSION)
            with pytest.raises(HelloInvalid):
                await there.take_hello(hello, session=SESSION)
            stale = decode_evidence(hello.what.evidence)
        with closing(TpmDevice.open(first)) as device:
            extend(device, 4)
        async with launched(a, first) as one, launched(b, second) as other:
            assert await one.open_tpm(a, secret_in(a)) != allowed[0], "it was booted otherwise"
            await other.open_tpm(b, secret_in(b))
            here, there = await member(one, a, allowed, 0), await member(other, b, allowed, 1)
            with pytest.raises(MemberUnattested) as caught:
                await meet(here, there)
            assert caught.value.fields["reason"] == "not a listed measurement"
            assert await meet(there, here) == allowed[1].measurement.hex()
        return stale

    with software_tpms(tmp_path, 2) as (one, other):
        evidence = asyncio.run(main(one.socket, other.socket))
    assert verify(evidence, signing_key=b"", now_s=0.0).bound
    document = decode(evidence.document, type=Document)
    for name in ("quote", "report", "signature", "public_key", "contents"):
        content = getattr(document, name)
        for place in range(len(content) * 8):
            changed = bytearray(content)
            changed[place // 8] ^= 1 << place % 8
            damaged = encode_document(replace(document, **{name: bytes(changed)}))
            with pytest.raises(EvidenceInvalid):
                verify(replace(evidence, document=damaged), signing_key=b"", now_s=0.0)


def test_a_counter_that_is_deleted_begins_above_what_it_was(tmp_path: Path) -> None:
    """Else whoever owns the TPM could have it count to an old value once more."""
    with software_tpms(tmp_path, 1) as (tpm,), closing(TpmDevice.open(tpm.socket)) as device:
        commands = Tpm(device.exchange)
        values = []
        for delete in (
            command(UNDEFINE, (OWNER, INDEX), (b"",), b""),
            command(CLEAR, (LOCKOUT,), (b"",), b""),
            b"",
        ):
            commands.define_counter(INDEX, AUTH)
            for _ in range(3):
                commands.advance_counter(INDEX, AUTH)
            key = made(commands)
            values.append(value_of(commands, key))
            commands.flush(key.handle)
            assert not delete or device.exchange(delete)[6:10] == bytes(4)
    assert values == [values[0], values[0] + 3, values[0] + 6]


def test_a_counter_survives_the_machine(tmp_path: Path) -> None:
    with software_tpms(tmp_path, 1) as (tpm,):
        values: list[int] = []
        for _ in range(3):
            with closing(TpmDevice.open(tpm.socket)) as device:
                attester = TpmAttester.open(
                    Tpm(device.exchange), b"s" * 32, program=b"p" * 32, protections=lambda: ()
                )
                counter = attester.counters(system_entropy).of(b"m" * 32)
                values += [counter.read(), counter.advance()] if values else [counter.define()]
            tpm.restart()
    assert values == [values[0] + each for each in (0, 0, 1, 1, 2)]


def measured(folder: Path, place: int, tpm: Path) -> Allowed:
    ended = run_tetrarch("enclave", "measure", "--tpm", tpm, "--folder", folder / f"state{place}")
    assert ended.exit_code == 0, ended.stderr
    return Allowed.parse(ended.stdout.strip())


def test_members_with_tpms_elect_and_one_on_another_machine_is_refused(tmp_path: Path) -> None:
    with software_tpms(tmp_path, 4) as tpms:
        sockets = [tpm.socket for tpm in tpms]
        options = ["--mode", "crash", "--attestation", "require"]
        for place in range(3):
            options += ["--enclave-measurement", str(measured(tmp_path, place, sockets[place]))]
        # The third folder was copied to a machine with the fourth TPM.
        used = [sockets[0], sockets[1], sockets[3]]
        election = Election(
            tmp_path, 3, *options, own_options=lambda place: ("--tpm", str(used[place]))
        )
        with election.running():
            until(
                election,
                "a leader of two",
                lambda: (
                    election.agreed([0, 1], view=[0, 1])
                    and "not a listed measurement" in election.members[0].text
                ),
                90,
            )
            assert election.members[2].certificates() == []
            assert "tpm2" in election.members[0].text


def told(*arguments: object) -> str:
    ended = run_tetrarch(*arguments)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout.strip()


def write_config(node: NodeProcess, tpm: Path, *lines: str) -> None:
    """Its keys and what else it seals open by its TPM, which vouches for it, too."""
    enclave = ("[enclave]", f'tpm = "{tpm}"', 'tpm_key_file = "seal.tpm"')
    (node.folder / "tetrarch.toml").write_text("\n".join((*enclave, *lines)) + "\n")


def test_nodes_of_a_cluster_are_attested_by_their_tpms(tmp_path: Path) -> None:
    with (
        software_tpms(tmp_path, NODES) as tpms,
        running(chain := Devchain(tmp_path, start_s=25.0, slot_s=4.0)),
    ):
        cluster = create_cluster(tmp_path, range(8))
        nodes = [NodeProcess(index, cluster, chain.url) for index in range(NODES)]
        entries = []
        for node, tpm in zip(nodes, tpms, strict=True):
            by = ("--tpm", tpm.socket)
            told("enclave", "tpm-key", node.folder / "seal.tpm", "--pcr", 7, *by)
            key = ("--tpm-key-file", node.folder / "seal.tpm")
            told("enclave", "seal", node.folder, "--remove-keystores", *key, *by)
            write_config(node, tpm.socket)
            entries.append(told("enclave", "measure", "--folder", node.folder, *by))
        for node, tpm in zip(nodes, tpms, strict=True):
            listed = entries[:3]  # the last one's machine is on nobody's list
            write_config(
                node,
                tpm.socket,
                "[election]",
                "enabled = true",
                "tpm_counter = true",
                "[attestation]",
                'demand = "require"',
                f"allowed_enclaves = {json.dumps(listed)}",
            )
        with running(*nodes):
            leader = leader_known_to(nodes[:3], of=3)
            assert leader["members"] == ["node0", "node1", "node2"]
            for node, entry in zip(nodes[:3], entries, strict=False):
                assert entry in node.text, node.tail(60)
                assert "back_end=tpm2" in node.text, node.tail(60)
            wait_for("it is refused", lambda: "election_member_unattested" in nodes[0].text)
            assert run_tetrarch("election", "leader", "--url", nodes[3].url).exit_code == 1


def lose(election: Election, place: int) -> None:
    """One of three is gone: the other two, of which both must vote, go on. Then it comes back."""
    others = [other for other in range(3) if other != place]
    for wanted in (others, range(3)):
        since = max(int(member.newest()["term"]) for member in election.members)
        if wanted is others:
            election.members[place].stop()
        else:
            election.members[place].start()
        agreed = partial(election.agreed, wanted, view=wanted, since=since)
        until(election, f"a leader of {len(wanted)}", agreed, 90)


def test_members_that_were_all_down_go_on_and_a_restored_one_is_noticed_alone(
    tmp_path: Path,
) -> None:
    with software_tpms(tmp_path, 3) as tpms:
        election = Election(
            tmp_path,
            3,
            "--tpm-counter",
            own_options=lambda place: ("--tpm", str(tpms[place].socket)),
        )
        restored = election.members[0]
        backup = tmp_path / "backup"
        with election.running():
            until(election, "all", lambda: election.agreed(range(3), view=range(3)), 90)
            restored.stop()
            shutil.copytree(restored.state, backup)
            restored.start()
            lose(election, 1)
            for member in election.members:
                member.kill()  # as when power fails
            for member in election.members:
                member.start()
            lose(election, 1)
            assert all("election_state_older" not in each.text for each in election.members)

            for member in election.members:
                member.kill()
            shutil.rmtree(restored.state)
            shutil.copytree(backup, restored.state)
            restored.start()
            until(election, "the warning", lambda: "election_state_older" in restored.text, 60)
            for member in election.members[1:]:
                member.start()
            lose(election, 0)  # who recovers with both others; meanwhile they need no vote of his
            lose(election, 1)
            election.check_all()
