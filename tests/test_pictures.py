"""The curves of the overlay: drawn from figures that the simulator printed, small, and shown where they are explained."""

import json
from dataclasses import fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from tetrarch.sim.overlay_figures import OverlayFigures
from tetrarch.sim.overlay_life import OverlayLife

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = DOCS / "images"
PNG = b"\x89PNG\r\n\x1a\n"


def test_curves_are_drawn_anew_and_stand_in_the_docs(tmp_path: Path) -> None:
    spec = spec_from_file_location("draw_overlay_curves", IMAGES / "draw_overlay_curves.py")
    assert spec is not None
    assert spec.loader is not None
    draw = module_from_spec(spec)
    spec.loader.exec_module(draw)
    draw.main(tmp_path)
    page = (DOCS / "explanation" / "overlay.md").read_text()
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {f"{name}.png" for name in draw.PICTURES}
    for name in drawn:
        for picture in (tmp_path / name, IMAGES / name):
            assert picture.read_bytes().startswith(PNG)
            assert picture.stat().st_size < 150_000
        assert f"](../images/{name})" in page


def test_figures_are_what_the_simulator_prints() -> None:
    for kind, figures in (("life", OverlayLife), ("crowd", OverlayFigures)):
        paths = sorted((IMAGES / "overlay").glob(f"{kind}-*.json"))
        assert len(paths) >= 2
        for path in paths:
            assert list(json.loads(path.read_text())) == [each.name for each in fields(figures)]
