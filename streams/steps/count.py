"""Count distinct reporting workplaces per cell, over the whole fixed domain."""

from collections import Counter
from collections.abc import Iterable, Sequence

from streams.steps.admit import Admitted
from streams.steps.policy import Cell


def count(admitted: Iterable[Admitted], domain: Sequence[Cell]) -> list[int]:
    """Return one count per cell of ``domain``, in its order.

    Raises:
        ValueError: the domain names a cell twice, or an admitted cell lies outside it.
    """
    counts = Counter(a.cell for a in admitted)
    if len(set(domain)) != len(domain):
        raise ValueError("a cell of the domain is there twice")
    if counts.keys() - set(domain):
        raise ValueError("what is counted lies outside the domain")
    return [counts[cell] for cell in domain]
