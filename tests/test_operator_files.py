"""Requests, exits and overrides in a node's folder: whole files, clear refusals, no surprises."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.duties.duty_world import InlineCompute, RecordingLog
from tests.duties.lasting_world import FIRST, SECOND, exit_set, registration

from tetrarch.duties.requested import ExitRequest, RegistrationRequest
from tetrarch.duties.types import ExitPayload
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.messages import SignedVoluntaryExit
from tetrarch.operator_files import (
    OVERRIDES_FILE,
    REQUEST_SIZE_BYTES_MAX,
    ExitUnkept,
    OperatorFolder,
    RequestUnwritable,
    read_exit,
    read_overrides,
    read_request,
    write_request,
)

EXIT = ExitRequest(pubkey=FIRST, epoch=7, broadcast=False)
REGISTRATION = RegistrationRequest(message=registration().message)


def operator(folder: Path) -> tuple[OperatorFolder, RecordingLog]:
    log = RecordingLog()
    return OperatorFolder(folder, InlineCompute(), log), log


def signed_exit(epoch: int) -> SignedVoluntaryExit:
    item = exit_set(epoch=epoch).items[0]
    assert isinstance(item.payload, ExitPayload)
    return SignedVoluntaryExit(message=item.payload.message, signature=item.signature)


def test_node_reads_what_the_commands_wrote(tmp_path: Path) -> None:
    async def main() -> None:
        node, log = operator(tmp_path)
        assert await node.requests() == ()
        for request in (EXIT, REGISTRATION):
            path = write_request(tmp_path, request)
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.parent.stat().st_mode & 0o777 == 0o700
        assert set(await node.requests()) == {EXIT, REGISTRATION}
        again = ExitRequest(pubkey=FIRST, epoch=7, broadcast=True)
        write_request(tmp_path, again)  # another wish about the same exit
        assert set(await node.requests()) == {again, REGISTRATION}
        assert OperatorFolder.requests_of(tmp_path) == await node.requests()
        assert log.lines == []

    asyncio.run(main())


def test_file_that_is_no_request_is_named_once_and_the_others_count(tmp_path: Path) -> None:
    async def main() -> None:
        node, log = operator(tmp_path)
        write_request(tmp_path, EXIT)
        (tmp_path / "requests/wrong.json").write_text("{}")
        (tmp_path / "requests/long.json").write_text(" " * (REQUEST_SIZE_BYTES_MAX + 1))
        (tmp_path / "requests/exit.json.tmp").write_text("")
        for _ in range(2):
            assert await node.requests() == (EXIT,)
        named = [line["file"] for line in log.find("request_unreadable")]
        assert named == ["long.json", "wrong.json"]
        assert OperatorFolder.requests_of(tmp_path) == (EXIT,)

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "transfer"},
        {"validator": "0x00"},
        {"validator": FIRST.hex()},
        {"epoch": -1},
        {"epoch": 2**63},
        {"epoch": "7"},
        {"more": 1},
    ],
)
def test_wrong_field_makes_no_request(change: dict[str, object]) -> None:
    right = {"kind": "exit", "validator": "0x" + FIRST.hex(), "epoch": 7, "broadcast": False}
    assert read_request(json.dumps(right).encode()) == EXIT
    with pytest.raises(InputInvalid):
        read_request(json.dumps(right | change).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b'{"kind":"exit\xff"}', b"[" * 4000])
def test_bytes_that_are_no_text_make_no_request(data: bytes) -> None:
    with pytest.raises(InputInvalid):
        read_request(data)


def test_no_request_pays_nobody() -> None:
    form = {"kind": "registration", "validator": "0x" + FIRST.hex(), "gas_limit": 1}
    form |= {"fee_recipient": "0x" + "00" * 20, "timestamp": 1}
    with pytest.raises(InputInvalid, match="zero"):
        read_request(json.dumps(form).encode())


def test_request_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("a file")
    with pytest.raises(RequestUnwritable):
        write_request(tmp_path, EXIT)


def test_earliest_exit_of_a_validator_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        node, _ = operator(tmp_path)
        path = tmp_path / f"exits/exit-0x{FIRST.hex()}.json"
        for epoch, kept in ((7, 7), (8, 7), (5, 5)):
            await node.keep_exit(FIRST, signed_exit(epoch))
            assert read_exit(path.read_bytes()) == signed_exit(kept)
        path.write_text("spoilt")
        await node.keep_exit(FIRST, signed_exit(9))
        assert read_exit(path.read_bytes()) == signed_exit(9)
        assert [each.name for each in path.parent.iterdir()] == [path.name]

    asyncio.run(main())


def test_exit_without_room_is_told_to_the_caller(tmp_path: Path) -> None:
    (tmp_path / "exits").write_text("a file")
    with pytest.raises(ExitUnkept):
        asyncio.run(operator(tmp_path)[0].keep_exit(FIRST, signed_exit(7)))


def test_overrides_are_read_plain_and_versioned_and_again_when_they_change(tmp_path: Path) -> None:
    async def main() -> None:
        node, log = operator(tmp_path)
        assert await node.overrides() == ()
        first, second = registration(), registration(SECOND)
        items = [first.to_json(), {"version": "v1", "data": second.to_json()}]
        (tmp_path / OVERRIDES_FILE).write_text(json.dumps(items))
        assert await node.overrides() == (first, second)
        (tmp_path / OVERRIDES_FILE).write_text("{")
        for _ in range(2):
            assert await node.overrides() == (first, second)  # the last that could be read
        assert len(log.find("overrides_unreadable")) == 1
        (tmp_path / OVERRIDES_FILE).write_text("[]")
        assert await node.overrides() == ()

    asyncio.run(main())


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"version": "v2", "data": {}}]'])
def test_other_texts_are_no_overrides(text: str) -> None:
    with pytest.raises(InputInvalid):
        read_overrides(text.encode())
