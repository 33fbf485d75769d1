"""What sets this process apart, and what it keeps secret: its names, the ids that it gives, its key and its token."""

import os
import random
import secrets
from collections.abc import Callable

from proxy.admin.token import load_or_make
from proxy.state_folder import kept_secret, state_folder
from proxy.workers import this_worker


def kept_key() -> bytes:
    """Return what hides credentials in keys: the same for all processes of this user, and after a restart."""
    try:
        return bytes.fromhex(kept_secret(state_folder(os.environ) / "secret", lambda: secrets.token_hex(16)))
    except (OSError, ValueError):
        return secrets.token_bytes(16)


def names() -> tuple[str, str]:
    """Return the name of all processes that were started together, and of this one among them."""
    worker = this_worker()
    run = worker.run if worker else secrets.token_hex(4)
    return run, f"{run}-{worker.number if worker else 0}-{secrets.token_hex(4)}"


def machine() -> str:
    """Return the name of what keeps one state folder: the same after a restart, another in another container."""
    try:
        return kept_secret(state_folder(os.environ) / "machine", lambda: secrets.token_hex(4))
    except OSError:
        return secrets.token_hex(4)


def new_ids() -> Callable[[], str]:
    """Return what makes request ids: unique, quick to make, no secret."""
    bits = random.Random(secrets.randbits(256)).getrandbits  # noqa: S311
    return lambda: f"{bits(128):032x}"


def kept_token() -> str:
    """Return the token of this machine; where there is no place to keep one, one that lives as long as the process."""
    try:
        return load_or_make()
    except OSError:
        return secrets.token_urlsafe(24)
