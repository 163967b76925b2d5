"""Count distinct reporting workplaces per cell, over the whole fixed domain."""

from collections import Counter
from collections.abc import Iterable, Sequence

from streams.steps.admit import Admitted
from streams.steps.policy import OTHER, Cell


def count(admitted: Iterable[Admitted], domain: Sequence[Cell]) -> list[int]:
    """Return one count per cell of ``domain``, in its order; an unknown code counts as OTHER."""
    known = [{cell[i] for cell in domain} for i in range(3)]
    counts = Counter(
        tuple(code if code in known[i] else OTHER for i, code in enumerate(a.cell)) for a in admitted
    )
    return [counts[cell] for cell in domain]
