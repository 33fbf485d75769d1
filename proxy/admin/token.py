"""The admin token: the config's own, or one that is made once and kept in the state folder."""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from proxy.state_folder import state_folder


def load_or_make(env: Mapping[str, str] = os.environ) -> str:
    """Return the environment's token, or the kept one; make one, readable by its owner only, if there is none.

    Raises OSError where the state folder can be neither read nor written.
    """
    if given := env.get("FRONTRUNNER_TOKEN"):
        return given
    file = state_folder(env) / "token"
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = file.with_name(f"token.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(secrets.token_urlsafe(24))
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
    token = file.read_text().strip()
    if not token:
        raise FileNotFoundError(file)
    return token
