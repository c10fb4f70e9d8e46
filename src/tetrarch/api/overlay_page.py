"""The page that draws the overlay as a node knows it, for a person's browser."""

from importlib.resources import files

from tetrarch.observability.pages import Page, self_contained

PAGE_PATH = "overlay/"


def overlay_pages() -> dict[str, Page]:
    """By the path at which the monitoring listener serves it, beside ``overlay/graph``."""
    html = files("tetrarch.api").joinpath("overlay_page.html").read_bytes()
    return {PAGE_PATH: self_contained(html)}
