"""The report on the demo's own run: split answers against whole ones, as `frontrunner report --ab` tells it."""

import time
from collections.abc import Callable
from typing import Any, Final

import httpx2

from proxy.core.ab_report import told

RULE: Final = "query"
LOOK_S: Final = 0.2


def report(
    proxy: str,
    token: str,
    splits: int,
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Return the report once so many split answers were compared, or it has waited `patience_s` seconds for them.

    Raises httpx2.HTTPError where the proxy does not answer.
    """
    looks = int(patience_s / LOOK_S)
    with httpx2.Client(base_url=proxy, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        for look in range(looks + 1):
            answer = client.get(f"/_frontrunner/rollout/{RULE}").raise_for_status().json()["split"]
            if _compared(answer) >= splits or look == looks:
                break
            sleep(LOOK_S)
    return told(answer["report"])


def _compared(answer: dict[str, Any]) -> int:
    made = sum(answer["checks"].get("pair", {}).values())
    return int(made + sum(answer["report"]["comparing"]["not_compared"].values()))
