"""What the demo shows: progress while it waits, and the table of what was measured."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from proxy.demo.story import Step, total


class Expected(ProgressColumn):
    """A bar of the elapsed time against the longest that is expected."""

    def render(self, task: Task) -> ProgressBar:
        """Draw the bar as of now."""
        return ProgressBar(total=task.total, completed=min(task.elapsed or 0.0, task.total or 0.0), width=14)


class Elapsed(ProgressColumn):
    """The elapsed seconds beside the expected ones."""

    def __init__(self, shortest_s: float, longest_s: float) -> None:
        super().__init__()
        self.expected = f"{shortest_s:.2g} to {longest_s:.2g} s"

    def render(self, task: Task) -> Text:
        """Write the seconds as of now."""
        return Text(f"{task.elapsed or 0.0:.1f} of {self.expected}", no_wrap=True)


class Screen:
    """The demo's output; a terminal gets live progress, anything else plain lines without control codes."""

    def __init__(self, shortest_s: float, longest_s: float, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.shortest_s, self.longest_s = shortest_s, longest_s
        self.expected = f"{seconds(shortest_s)} to {seconds(longest_s)}"
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal

    def say(self, line: str = "") -> None:
        """Print one line as it is, never wrapped: it may be copied."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def watch(self, name: str) -> Iterator[Callable[[float], object]]:
        """Show that `name` goes on, and at its end the seconds that were measured."""
        measured: list[float] = []
        if self.live:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                Expected(),
                Elapsed(self.shortest_s, self.longest_s),
            )
            with Progress(*columns, console=self.console, transient=True) as progress:
                progress.add_task(name, total=self.longest_s)
                yield measured.append
            self.say(f"{name}: {seconds(*measured)}")
        else:
            self.console.print(f"{name}: ", end="", markup=False, highlight=False)
            yield measured.append
            self.say(seconds(*measured))

    def table(self, steps: Sequence[Step]) -> None:
        """Print what was measured."""
        table = Table(title="Measured in this run", show_footer=False)
        table.add_column("step")
        for heading in ("without us", "with us", "ratio", "upstream calls\nwithout / with"):
            table.add_column(heading, justify="right")
        for step in steps:
            table.add_row(step.name, *_cells(*total([step])), end_section=step is steps[-1])
        table.add_row("all", *_cells(*total(steps)))
        self.console.print(table)


def seconds(value: float) -> str:
    """Write a duration with three digits that mean something."""
    if value >= 9.995:
        return f"{value:.1f} s"
    return f"{value:.2f} s" if value >= 0.9995 else f"{value * 1000:.3g} ms"


def ratio(direct_s: float, proxied_s: float) -> str:
    """Write how many times faster the second is."""
    times = direct_s / max(proxied_s, 1e-9)
    return f"{times:,.0f} x" if times >= 10 else f"{times:.2f} x"


def _cells(direct_s: float, proxied_s: float, direct_calls: int, proxied_calls: int) -> tuple[str, ...]:
    return seconds(direct_s), seconds(proxied_s), ratio(direct_s, proxied_s), f"{direct_calls} / {proxied_calls}"
