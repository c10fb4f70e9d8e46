"""Duties as an operator writes them, and the views that tell of them over HTTP."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from tests.duties.test_report import REPORT

from tetrarch.api.duty_views import (
    duties_view,
    explain_view,
    list_view,
    note_inclusion,
    read_duty,
    read_type,
)
from tetrarch.duties.report import InclusionReport, Verdict
from tetrarch.duties.stories import NodeStory, Story
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InputInvalid
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring


@pytest.mark.parametrize(
    ("text", "duty_type"),
    [
        ("attester", DutyType.ATTESTER),
        ("SYNC_MESSAGE", DutyType.SYNC_MESSAGE),
        ("sync-contribution", DutyType.SYNC_CONTRIBUTION),
        ("13", DutyType.INFO_SYNC),
    ],
)
def test_type_is_read_as_operators_write_it(text: str, duty_type: DutyType) -> None:
    assert read_type(text) is duty_type
    assert read_duty(f"9/{text}") == Duty(9, duty_type)


@pytest.mark.parametrize(
    "text", ["", "9", "9/", "/attester", "x/attester", "9/14", "9/\u0662", "-1/attester", "9/a/b"]
)
def test_what_is_no_duty_is_refused(text: str) -> None:
    with pytest.raises(InputInvalid):
        read_duty(text)


class Teller:
    """What the views ask of a node."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.tracker = self.tracking = self.stories = self

    def reports(self, **query: Any) -> Any:
        self.asked.append(query)
        return (REPORT,)

    async def known(self, **query: Any) -> Any:
        self.asked.append(query)
        return (REPORT,)

    async def explain(self, duty: Duty) -> Story:
        self.asked.append(duty)
        node = NodeStory(peer=0, name="node0", is_own=True, reports=(REPORT,))
        return Story(slot=duty.slot, type=duty.type.name.lower(), nodes=(node,))


def test_views_are_served_and_wrong_questions_refused() -> None:
    async def main() -> None:
        node: Any = Teller()
        monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=tuple,
            log=SilentLog(),
            views={
                "duties": duties_view(node),
                "duty/explain": explain_view(node),
                "duty/list": list_view(node),
            },
        )

        async def get(path: str) -> tuple[int, Any]:
            url = f"http://127.0.0.1:{monitoring.bound_port}{path}"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, json.loads(await answer.text())

        async with asyncio.TaskGroup() as group:
            task = group.create_task(monitoring.run())
            await monitoring.listening.wait()
            status, told = await get("/duty/explain?slot=9&type=attester")
            assert (status, told["nodes"][0]["reports"][0]["reason"]) == (200, "no_consensus")
            assert node.asked == [Duty(9, DutyType.ATTESTER)]
            status, told = await get("/duty/list?failed=1&since_slot=3&type=proposer")
            assert (status, len(told["duties"])) == (200, 1)
            expected = {"since_slot": 3, "failed": True, "types": (DutyType.PROPOSER,)}
            assert node.asked[-1] == expected
            assert (await get("/duties?since_slot=x"))[0] == 200
            for wrong in (
                "/duty/explain",
                "/duty/explain?slot=9&type=x",
                "/duty/list?since_slot=-1",
            ):
                status, told = await get(wrong)
                assert (status, told["code"]) == (400, 400)
                assert "input_invalid" in told["message"]
            task.cancel()

    asyncio.run(main())


def test_chains_word_scores_the_beacon_node_that_the_data_came_from() -> None:
    noted: list[Any] = []

    class Nodes:
        def note_inclusion(self, what: str, slot: int, share: float) -> None:
            noted.append((what, slot, share))

    async def main() -> None:
        nodes: Any = Nodes()
        for kind, verdict in (
            ("attester", Verdict.INCLUDED),
            ("proposer", Verdict.NOT_INCLUDED),
            ("attester", Verdict.UNKNOWN),
            ("sync_message", Verdict.INCLUDED),
        ):
            included = 2 if verdict is Verdict.INCLUDED else 0
            answer = InclusionReport(slot=9, type=kind, verdict=verdict, due=4, included=included)
            await note_inclusion(nodes, answer)
        assert noted == [("attestation_data", 9, 0.5), ("produce_block", 9, 0.0)]

    asyncio.run(main())
