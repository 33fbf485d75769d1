"""Where this user's state is kept."""

from pathlib import Path

from proxy.state_folder import state_folder


def test_where_it_is_kept() -> None:
    """Where the user's state belongs (XDG Base Directory)."""
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/frontrunner")
    assert state_folder({"HOME": "/h"}) == Path("/h/.local/state/frontrunner")
    assert state_folder({"XDG_STATE_HOME": "", "HOME": "/h"}) == Path("/h/.local/state/frontrunner")
    assert state_folder({}).is_absolute()
