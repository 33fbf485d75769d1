"""ASGI's shapes, and what our server and our edge tell each other beyond them."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

EXTENSION = "frontrunner"
"""Key of our server's own facts in a scope's extensions: `target` (bytes), `refused` (Refusal)."""

WHOLE = "frontrunner.whole"
"""Key of a response start whose body follows at once: our server then writes both together; others ignore it."""


class AnswerCut(Exception):
    """The answer cannot be completed: the server must end the connection, so that the client can tell."""
