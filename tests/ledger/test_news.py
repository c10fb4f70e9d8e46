"""Handlers hear in the order in which they came."""

from tetrarch.ledger.news import News


def test_all_hear_what_there_is_in_their_order() -> None:
    news = News()
    heard: list[object] = []
    news.on_behind(lambda height: heard.append(("first", height)))
    news.on_behind(lambda height: heard.append(("second", height)))
    news.on_justified(lambda: heard.append("justified"))
    news.on_behind.tell(7)
    news.on_justified.tell()
    assert heard == [("first", 7), ("second", 7), "justified"]
