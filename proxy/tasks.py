"""Tasks that belong to the app and not to one client: held until done, ended at shutdown."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_HOLDS_UP_OTHERS_BYTES = 2**18
"""Reading a dense JSON text takes up to 0.7 s a MiB."""

Done = TypeVar("Done")


async def done_aside(size: int, work: Callable[[], Done]) -> Done:
    """Return what `work` on so many bytes gives: where they are many, done beside the loop."""
    return await asyncio.to_thread(work) if size > _HOLDS_UP_OTHERS_BYTES else work()


class Tasks:
    """Holds tasks, so that none is garbage-collected half done; tells `failed` of any that raise."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until it ends or the app closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def __len__(self) -> int:
        """Return how many run."""
        return len(self._tasks)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
