"""The admin token: the config's own, or one that is made once and kept in the state folder."""

import os
import secrets
from collections.abc import Mapping

from proxy.state_folder import kept_secret, state_folder


def load_or_make(env: Mapping[str, str] = os.environ) -> str:
    """Return the environment's token, or the kept one; make one, readable by its owner only, if there is none.

    Raises OSError where the state folder can be neither read nor written.
    """
    if given := env.get("FRONTRUNNER_TOKEN"):
        return given
    file = state_folder(env) / "token"
    return kept_secret(file, lambda: secrets.token_urlsafe(24))
