import re
from pathlib import Path

from tetrarch.errors import PeerFault
from tetrarch.network import faults, frames
from tetrarch.network.ports import Topic

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "mesh-protocol.md").read_text()


def test_every_fault_and_topic_stands_in_the_reference() -> None:
    codes = {
        value.code
        for value in vars(faults).values()
        if isinstance(value, type) and issubclass(value, PeerFault) and value is not PeerFault
    }
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert listed == codes | {"connection_replaced"}
    for topic in Topic:
        assert f"| {topic.name.lower()} | {topic.value} |" in PAGE
    for field in frames.Hello.__struct_fields__:
        assert f"\n| {field} | " in PAGE
