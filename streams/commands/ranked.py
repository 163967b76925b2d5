"""The command ``chorus release ranked``: where to look next, below what anybody is told of."""

import json
from collections.abc import Callable
from dataclasses import asdict

import click

from connectors.released import indicators, where
from streams.steps.alert import Ranked


def ranked(look: Callable[[int], list[Ranked]]) -> click.Command:
    """Return the command; ``look`` returns at most so many cells when it runs."""

    @click.command(name="ranked", epilog="\b\nExample:\n  chorus release ranked --most 10")
    @click.option(
        "--most", default=20, show_default=True, type=click.IntRange(1, 1000), help="So many at most."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
    def command(most: int, as_json: bool) -> None:
        """List the sectors and provinces that stand out most although there is no alert.

        Something to look at for whoever has time: among so many cells some stand out by chance each day. The evidence
        is in days: a quiet cell shows so much less often than once in so many days.
        """
        found = look(most)
        if as_json:
            click.echo(json.dumps([asdict(one) for one in found]))
        elif not found:
            click.echo("nothing stands out")
        for one in [] if as_json else found:
            label = indicators().get(one.indicator, one.indicator)
            usual = max(one.baseline, 0)
            click.echo(
                f"{one.statistic:>10,.0f}  {label}, {where(one.sector, one.region)}: {one.value}, usual {usual:.0f}"
            )

    return command
