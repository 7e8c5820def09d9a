"""What the demo shows: each kind of line that the API may tell."""

from datetime import UTC, datetime

import pytest

from sandbox.demo.screen import Screen
from services.api.core.timeline import Happening, TimelineEntry


@pytest.mark.parametrize("happening", Happening)
def test_a_line_of_every_kind_is_shown(happening: Happening, capsys: pytest.CaptureFixture[str]) -> None:
    entry = TimelineEntry(at=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.0, happening=happening, reason="x", detail="y")
    Screen().line(entry.model_dump(mode="json"))
    assert "y" in capsys.readouterr().out
