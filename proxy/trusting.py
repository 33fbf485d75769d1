"""How trust is earned: those who draw arms, compare answers, look into differences, and learn from whole answers."""

from collections.abc import Callable

from proxy.clock import Clock
from proxy.composite import Composites
from proxy.draws import Draws
from proxy.evidence import Evidence
from proxy.fan import Fan
from proxy.mode import Mode
from proxy.origins import Origins
from proxy.parts import Parts
from proxy.reassembly import Reassembly
from proxy.rollouts import Rollouts
from proxy.shadow import Shadow
from proxy.spellings import Spellings
from proxy.store import Shared
from proxy.tasks import Tasks
from proxy.trials import Trials
from proxy.unseen import Unseen
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.protection import Protection
from proxy.verify import Verify


class Trusting:
    """Makes them, and tells each of the others."""

    def __init__(
        self,
        parts: Parts,
        fan: Fan,
        origins: Origins,
        rollouts: Rollouts,
        trials: Trials,
        upstream: Upstream,
        protection: Protection,
        tasks: Tasks,
        timeouts: Timeouts,
        clock: Clock,
        mode: Mode,
        shared: Shared | None,
        name: str,
        *,
        tell: Callable[..., None],
        failed: Callable[[BaseException, str], None],
        roll: Callable[[], float],
    ) -> None:
        unseen = Unseen(upstream, protection, trials, timeouts, clock, mode)
        self.verify = verify = Verify(rollouts, trials, unseen, clock, tell=tell)
        self.draws = draws = Draws(rollouts, trials, unseen, tasks, shared, name, roll, failed)
        self.composites = Composites(parts, fan, rollouts, draws, clock, failed)
        self.reassembly = Reassembly(
            parts, rollouts, trials, unseen, verify, origins, clock, failed=failed, roll=roll
        )  # fmt: skip
        self.spellings = Spellings(
            rollouts, trials, unseen, verify, draws, origins, clock, failed=failed, roll=roll
        )  # fmt: skip
        self.evidence = Evidence(self.reassembly, self.spellings, tasks)
        shadow = Shadow(
            self.composites, trials, unseen, verify, tasks, clock, learn=self.reassembly, failed=failed
        )  # fmt: skip
        self.reassembly.shadow, draws.pair = shadow.split, shadow.pair
