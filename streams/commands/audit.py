"""The command ``chorus audit``: attack the release, and say what could be proved."""

import json
import os
import sys
import tempfile
from pathlib import Path

import click
from tqdm import tqdm

from streams.app import read_policy
from streams.audit import battery, full
from streams.console import example
from streams.settings import read

_MEANING = (
    "Nothing more than the promise could be proved. That is no proof of the promise: another attack may do better.",
    "More than the promise is proved: do not release anything with this build. What leaks, docs/audit.md helps to find.",
)


@click.command(name="audit", epilog=example("chorus audit --full"))
@click.option(
    "--full", "through_all", is_flag=True, help="Through a real node: HTTP, broker, Faust, chDB, page."
)
@click.option(
    "--runs",
    type=click.IntRange(8, 100_000),
    help="Runs on each side of a pair; without it as many as the promise needs, 123 for the shipped one."
    f" With --full: days on which pairs are tried [{full.DAYS}].",
)
@click.option(
    "--canaries",
    type=click.IntRange(8, 100_000),
    help=f"Canary workplaces [{battery.CANARIES}; with --full {full.CANARIES}].",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the made-up reports; noise has none.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def audit(through_all: bool, runs: int | None, canaries: int | None, seed: int, as_json: bool) -> None:
    """Try to prove that the release loses more than it promises.

    Attacks this build under the configured privacy policy with made-up reports, as an outsider who reads everything
    that can be read. It touches nothing of a node that runs. Exit status 1: more than the promise is proved.
    """
    connectors, stream = read(os.environ)
    policy = read_policy(stream)
    if through_all:
        days = runs or full.DAYS
        with (
            tempfile.TemporaryDirectory(prefix="chorus-audit-") as home,
            tqdm(unit="day", disable=None) as bar,
        ):
            findings = full.audit_full(
                *(Path(home), connectors, stream, policy),
                canaries=canaries or full.CANARIES,
                days=days,
                seed=seed,
                day_done=bar.update,
            )
    else:
        sizes = runs or battery.enough(policy), canaries or battery.CANARIES
        found = battery.audit(policy, *sizes, seed=seed, jobs=min(2, os.cpu_count() or 1))
        findings = list(tqdm(found, total=battery.PARTS, unit="part", disable=None))
    flagged = [f for f in findings if f.flagged]
    if as_json:
        rows = [
            {
                "part": f.name,
                "promised": f.promised,
                "at_95": round(f.reported.epsilon, 4),
                "at_99_9": round(f.gate.epsilon, 4),
                "flagged": f.flagged,
                "runs": f.runs,
                "seconds": round(f.seconds, 1),
            }
            for f in findings
        ]
        click.echo(json.dumps({"policy": policy.profile, "flagged": bool(flagged), "parts": rows}))
    else:
        click.echo(
            f"{'':42} {'promised':>8} {'95 %':>6} {'99.9 %':>6}   epsilon; the last two are lower bounds"
        )
        for f in findings:
            click.echo(
                f"{f.name:42} {f.promised:8.2f} {f.reported.epsilon:6.2f} {f.gate.epsilon:6.2f}   "
                + ("FLAGGED" if f.flagged else "not flagged")
            )
        click.echo(_MEANING[bool(flagged)])
    sys.exit(1 if flagged else 0)
