"""What the pool costs, beside reading in the same process: `python tests/benchmarks/bench_pool.py [JSONL]`.

Reads messages (`{text, lang}` a line) with the real reader, in this process, by one process and by several, in turn,
and a reader that does nothing, which leaves the cost of the way there and back.
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from streams.pool import Pool, in_process
from streams.reading import build
from streams.steps.deidentify import Words

ROUNDS = 5
CORPUS = Path(__file__).parent.parent / "corpus" / "dev.jsonl"


def nothing():
    return lambda text, language: Words(text)


def measured(read_alls, texts):
    """Return, for each way of reading, the median seconds and CPU seconds of this process per text."""
    figures = {name: [] for name in read_alls}
    for _ in range(ROUNDS):
        for name, read_all in read_alls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for first in range(0, len(texts), 200):  # as an agent does
                read_all(texts[first : first + 200])
            figures[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: tuple(statistics.median(f[i] for f in found) / len(texts) for i in (0, 1))
        for name, found in figures.items()
    }


def main():
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [(row["text"], row.get("lang")) for row in rows] * 3
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as home:
        pools = {f"pool of {n}": Pool("streams.reading:build", [home], n, 2.0) for n in sorted({1, cores})}
        empty = Pool("bench_pool:nothing", [], 1, 2.0)
        ways = {"in process": in_process(build(home)), **{n: p.read_all for n, p in pools.items()}}
        ways["pool of 1, reading nothing"] = empty.read_all
        found = measured(ways, texts)
        base = found["in process"][0]
        print(f"{len(texts)} texts, {cores} cores, median of {ROUNDS}, us per text")
        for name, (wall, cpu) in found.items():
            print(
                f"{name:28} {wall * 1e6:8.0f}   speed x{base / wall:5.2f}   cpu of the node {cpu * 1e6:6.0f}"
            )
        print(f"memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        for pool in (*pools.values(), empty):
            pool.close()


if __name__ == "__main__":
    main()
