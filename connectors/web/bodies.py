"""Bodies of requests: read up to a limit, whatever the sender says of their length."""

from starlette.requests import Request

_PATIENCE = 20  # so many times the limit is read before the connection is cut


class TooLarge(Exception):
    """A body is larger than the limit.

    Attributes:
        head: its first bytes, as many as the limit.
    """

    def __init__(self, head: bytes) -> None:
        """Hold the head."""
        super().__init__("a body is too large")
        self.head = head


async def read_body(request: Request, most: int) -> bytes:
    """Read a body of at most ``most`` bytes.

    Of a larger one a while is read and forgotten: a sender cut off at once sees a broken connection and
    not the answer.

    Raises:
        TooLarge: with its head.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        if size < most:
            chunks.append(chunk[: most - size])
        size += len(chunk)
        if size > _PATIENCE * most:
            break
    if size > most:
        raise TooLarge(b"".join(chunks))
    return b"".join(chunks)
