"""Shuffle: messages leave in another order than reports came in, so that a place in a topic tells no time.

How much that hides depends on how many wait together: of a batch of one it hides nothing.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def shuffled(items: Sequence[tuple[Hashable, T]], shuffle: Callable[[list[Any]], None]) -> list[T]:
    """Return the items of (lane, item) pairs in any order that keeps each lane's own, all equally likely.

    Args:
        items: what is to be sent; a lane is what must stay in order, such as the revisions of one report.
        shuffle: shuffles a list in place.
    """
    lanes: dict[Hashable, list[T]] = {}
    for lane, item in items:
        lanes.setdefault(lane, []).append(item)
    waiting = {lane: iter(queue) for lane, queue in lanes.items()}
    order = [lane for lane, _ in items]
    shuffle(order)
    return [next(waiting[lane]) for lane in order]
