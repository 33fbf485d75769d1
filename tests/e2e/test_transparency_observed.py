"""The differential test in observe: where all may be stored, what went through us is still what goes directly."""

import pytest
from differences import differences
from running import Proxy
from test_transparency import exchange
from transparency_table import Case, cases
from wire import RawUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "mode": "observe",
    "upstream": {"max_in_flight": 1},
    "rules": [
        {
            "name": "all",
            "match": {"method": ["GET", "HEAD", "POST", "PUT", "DELETE"], "path": "/**"},
            "safe": True,
            "key": ["sort_params", "json"],
            "ttl": "1h",
            "cookies": "ignore",
        }
    ],
}
CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_the_upstream_and_the_client_see_what_they_see_without_us(
    case: Case, upstream: RawUpstream, proxy: Proxy
) -> None:
    """The request at the upstream and the response at the client are equal, directly, through us, and once more."""
    request, response, _ = await exchange(upstream, upstream.port, case)
    for _ in range(2):
        request_through, response_through, _ = await exchange(upstream, proxy.port, case)
        assert differences(request, request_through) == []
        assert differences(response, response_through) == []


async def test_many_of_them_would_have_been_hits(proxy: Proxy) -> None:
    """Else nothing was tried."""
    lines = proxy.found(event="request", reason="observe")
    assert len([line for line in lines if line.get("would") == "hit"]) > len(CASES) / 10
    assert not proxy.found(event="error")
    assert not [line for line in lines if line["outcome"] != "passthrough"]
