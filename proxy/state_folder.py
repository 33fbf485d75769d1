"""Where this user's state is kept (XDG Base Directory)."""

from collections.abc import Mapping
from pathlib import Path


def state_folder(env: Mapping[str, str]) -> Path:
    """Return the folder: the admin token, the bypass switch, and what is stored on disk."""
    home = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(home) / "frontrunner"
