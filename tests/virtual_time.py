"""An event loop whose time jumps to the next timer when nothing else is left to do, and a clock that shows it."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps in no time; raises RuntimeError where all wait for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        real: selectors.BaseSelector = self._selector  # type: ignore[attr-defined]
        ready = real.select

        def select(timeout: float | None = None) -> list[Any]:
            if timeout is None:
                raise RuntimeError("nothing will ever happen")
            self.now += max(timeout, 0.0)
            return ready(0)

        real.select = select  # type: ignore[method-assign, assignment]

    def time(self) -> float:
        return self.now


class VirtualClock:
    """Shows the time of the running virtual loop."""

    def wall(self) -> float:
        return 1_000_000_000.0 + self.timer()

    def timer(self) -> float:
        return asyncio.get_running_loop().time()


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test that runs in virtual time of an async one."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run
