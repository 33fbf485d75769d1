"""Reading an answer of the upstream to its end."""

from proxy.core.types import Response


async def whole_answer(response: Response, most: int) -> bytes | None:
    """Read a body, so that its connection can serve again; None where it has more than `most` bytes."""
    if isinstance(response.body, bytes):
        return response.body if len(response.body) <= most else None
    chunks: list[bytes] = []
    left = most
    try:
        async for chunk in response.body:
            left -= len(chunk)
            if left < 0:
                return None
            chunks.append(chunk)
    finally:
        await response.body.aclose()
    return b"".join(chunks)


async def let_go(response: Response) -> None:
    """Close a body that nobody reads on."""
    if not isinstance(response.body, bytes):
        await response.body.aclose()
