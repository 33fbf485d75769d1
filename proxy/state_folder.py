"""Where this user's state is kept (XDG Base Directory), and the secrets in it."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path


def state_folder(env: Mapping[str, str]) -> Path:
    """Return the folder: the admin token, the bypass switch, and what is stored on disk."""
    home = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(home) / "frontrunner"


def kept_secret(file: Path, make: Callable[[], str]) -> str:
    """Return the text in `file`, readable by its owner only; make one if there is none.

    Of several processes that make one at once, all get the same. Raises OSError where the folder cannot be used.
    """
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(make())
    try:
        os.link(made, file)  # whole or not at all, and only one process is the first
    except FileExistsError:
        if not file.read_text().strip():
            made.replace(file)  # a crash left an empty one
    finally:
        made.unlink(missing_ok=True)
    return _read(file)


def _read(file: Path) -> str:
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        file.chmod(0o600)
    text = file.read_text().strip()
    if not text:
        raise FileNotFoundError(file)
    return text
