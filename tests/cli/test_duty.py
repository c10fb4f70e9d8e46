"""``tetrarch duty``: asks a listener, reads a database where nobody answers, and fails in one line."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.duties.test_report import REPORT
from typer.testing import CliRunner, Result

from tetrarch.cli.main import app
from tetrarch.duties.report import DutyReport, Outcome, Standing, Step, Verdict
from tetrarch.duties.report_store import SCHEMA, ReportStore
from tetrarch.duties.stories import NodeStory, Story
from tetrarch.observability.logs import SilentLog
from tetrarch.storage.database import Database

DONE = msgspec.structs.replace(REPORT, slot=10, outcome=Outcome.DONE, reason="")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@contextmanager
def listening(answer: Callable[[web.Request], web.Response]) -> Iterator[str]:
    """A listener in another thread, for commands run in this one; yields its URL."""
    started, urls = threading.Event(), []
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def serve() -> None:
        async def handle(request: web.Request) -> web.Response:
            return answer(request)

        application = web.Application()
        application.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(30)
        loop.close()


def told(value: object, status: int = 200) -> Callable[[web.Request], web.Response]:
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return lambda _request: web.Response(body=body, status=status, content_type="application/json")


def story(*nodes: NodeStory) -> Story:
    return Story(slot=9, type="attester", nodes=nodes)


def node(peer: int, *reports: DutyReport, own: bool = False, trouble: str = "") -> NodeStory:
    return NodeStory(peer=peer, name=f"node{peer}", is_own=own, reports=reports, trouble=trouble)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A node's folder whose database holds two records; nobody listens."""
    (tmp_path / "database").mkdir()
    (tmp_path / "tetrarch.toml").write_text("[monitoring]\nlisten_port = 1\n")

    async def fill() -> None:
        database = Database.open(tmp_path / "database" / "node.sqlite", (SCHEMA,))
        store = ReportStore(storage=database, report_of=lambda _: None, log=SilentLog())
        store.add(REPORT)
        store.add(DONE)
        await store.flush()
        await database.close()

    asyncio.run(fill())
    return tmp_path


def test_story_of_a_failed_duty_is_told_with_its_cause_and_exit_code() -> None:
    silent = node(2, trouble="no answer within 2 s")
    with listening(told(story(node(0, REPORT, own=True), node(1, DONE), silent))) as url:
        ended = run("duty", "explain", "9/attester", "--url", url)
    assert ended.exit_code == 1
    for text in (
        "failed: no_consensus",
        "the nodes agreed on nothing in time",
        "round 1 led by node2 was left for round 2: no_pre_prepare",
        "30 of 31; not included: 0xabcdef",
        "node3: equivocation",
        "MISSING",
        "node2 told nothing: no answer within 2 s",
    ):
        assert text in ended.output, text


def test_question_goes_to_the_listener_as_the_operator_wrote_it() -> None:
    asked: list[Any] = []

    def answer(request: web.Request) -> web.Response:
        asked.append((request.path, dict(request.query)))
        return told({"duties": [REPORT, DONE]})(request)

    with listening(answer) as url:
        ended = run(
            "duty", "list", "--failed", "--since-slot", 5, "--type", "Sync-Message", "--url", url
        )
    assert ended.exit_code == 0
    query = {"since_slot": "5", "failed": "1", "type": "sync_message"}
    assert asked == [("/duty/list", query)]
    assert "9/attester" in ended.output
    assert "no_consensus" in ended.output


def test_json_is_the_whole_story() -> None:
    told_story = story(node(0, REPORT, own=True), node(1, trouble="away"))
    with listening(told(told_story)) as url:
        ended = run("duty", "explain", "9/attester", "--json", "--url", url)
    assert msgspec.json.decode(ended.output, type=Story) == told_story


def test_stopped_node_is_read_from_its_database_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loaded:
        peer_index = 3

    monkeypatch.setattr("tetrarch.cli.duty_source.load_cluster", lambda _folder: Loaded)
    for options in ((), ("--offline",)):
        ended = run("duty", "explain", "9/attester", "--folder", folder, *options)
        assert ended.exit_code == 1
        assert "from this node's database alone" in ended.output
        assert "failed: no_consensus" in ended.output
    listed = run("duty", "list", "--folder", folder, "--json")
    found = json.loads(listed.output)
    assert found["from_database_alone"]
    assert [each["slot"] for each in found["duties"]] == [9, 10]
    failed = json.loads(run("duty", "list", "--folder", folder, "--failed", "--json").output)
    assert [each["slot"] for each in failed["duties"]] == [9]


def test_duty_that_nobody_knows_has_its_own_exit_code() -> None:
    with listening(told(story(node(0, own=True), node(1)))) as url:
        ended = run("duty", "explain", "9/attester", "--url", url)
    assert ended.exit_code == 2
    assert "no node knows this duty" in ended.output


@pytest.mark.parametrize("duty", ["9", "attester/9", "9/nonsense", "-1/attester", "9" * 30 + "/2"])
def test_duty_that_is_none_is_a_wrong_command_line(duty: str) -> None:
    assert run("duty", "explain", "--url", "http://127.0.0.1:1", "--", duty).exit_code == 2


def test_nobody_there_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    ended = run("duty", "list", "--url", "http://127.0.0.1:1")
    assert ended.exit_code == 69
    (line,) = ended.stderr.splitlines()
    assert "node_away" in line
    assert "--folder" in line
    assert run("duty", "list", "--folder", tmp_path, "--offline").exit_code == 66
    assert run("duty", "list", "--offline").exit_code == 66


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200),
        ({"duties": [{"slot": "x"}]}, 200),
        ({"code": 400, "message": "read slot: input_invalid"}, 400),
        (b"", 404),
    ],
)
def test_answer_that_is_no_nodes_is_one_line(body: object, status: int) -> None:
    with listening(told(body, status)) as url:
        ended = run("duty", "list", "--url", url)
    assert ended.exit_code == 65
    assert len(ended.stderr.splitlines()) == 1


def test_peers_wild_claims_are_drawn_and_break_nothing() -> None:
    wild = msgspec.structs.replace(
        REPORT,
        detail="[bold]not bold[/bold]",
        reason="[red]unheard_of[/]",
        started_s=1e300,
        at_ms={Step.SCHEDULED: 1e300, Step.FETCHED: -1e300, Step.SUBMITTED: 5.0},
        parts=tuple(
            msgspec.structs.replace(part, peer=200, first_ms=-1e300, standing=Standing.LATE)
            for part in REPORT.parts
        ),
    )
    with listening(told(story(node(0, own=True), node(1, wild)))) as url:
        ended = run("duty", "explain", "9/attester", "--url", url)
    assert ended.exit_code == 0
    assert "[bold]not bold[/bold]" in ended.output
    assert "[red]unheard_of[/]" in ended.output
    assert max(map(len, ended.output.splitlines())) <= 140


def test_text_that_a_terminal_would_obey_is_refused() -> None:
    wild = msgspec.structs.replace(REPORT, detail="\x1b[2J")
    with listening(told(story(node(0, own=True), node(1, wild)))) as url:
        ended = run("duty", "explain", "9/attester", "--url", url)
    assert ended.exit_code == 65
    assert "\x1b" not in ended.output


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_answer_of_the_chain_has_words(verdict: Verdict) -> None:
    assert REPORT.inclusion is not None
    inclusion = msgspec.structs.replace(REPORT.inclusion, verdict=verdict)
    report = msgspec.structs.replace(REPORT, inclusion=inclusion)
    with listening(told(story(node(0, report, own=True)))) as url:
        ended = run("duty", "explain", "9/attester", "--url", url)
    assert "30 of 31" in ended.output
