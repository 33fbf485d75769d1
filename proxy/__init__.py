"""Frontrunner: an ASGI reverse proxy that makes a slow HTTP service fast without changing one answer."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Frontrunner", "__version__", "create_app"]

if TYPE_CHECKING:
    from proxy.app import create_app
    from proxy.middleware import Frontrunner


def __getattr__(name: str) -> Any:  # the app is imported when asked for, so that `frontrunner --help` is quick
    if name == "create_app":
        from proxy.app import create_app

        return create_app
    if name == "Frontrunner":
        from proxy.middleware import Frontrunner

        return Frontrunner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
