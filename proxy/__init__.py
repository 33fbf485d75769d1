"""Frontrunner: an ASGI reverse proxy that makes a slow HTTP service fast without changing one answer."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Frontrunner", "__version__", "create_app"]

if TYPE_CHECKING:
    from proxy.app import Frontrunner, create_app


def __getattr__(name: str) -> Any:  # the app is imported when asked for, so that `frontrunner --help` is quick
    if name in {"Frontrunner", "create_app"}:
        from proxy import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
