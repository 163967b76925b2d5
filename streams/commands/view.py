"""The command ``chorus release view``: the finest usable view of a question, from released numbers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import click

from connectors.clickhouse import ClickHouse
from connectors.released import ALL, BadQuestion, Finest, View, finest, sentence, when, where


def view(db: Callable[[], ClickHouse]) -> click.Command:
    """Return the command; ``db`` opens ClickHouse when it runs."""

    @click.command(
        name="view",
        epilog="\b\nExample:\n  chorus release view --indicator RID --region TH-10 --until 2026-11-20 --days 7",
    )
    @click.option("--indicator", required=True, help="Code of the problem, OTHER, or ALL of them.")
    @click.option("--sector", default=ALL, show_default=True, help="ISIC section, A to U, or OTHER.")
    @click.option("--region", default=ALL, show_default=True, help="Province, larger region, or OTHER.")
    @click.option("--until", help="Last day of the period, YYYY-MM-DD; the newest released day without it.")
    @click.option("--days", default="1", show_default=True, help="Length of the period, 1 to 366 days.")
    @click.option("--json", "as_json", is_flag=True, help="Print all views as JSON.")
    def command(
        indicator: str, sector: str, region: str, until: str | None, days: str, as_json: bool
    ) -> None:
        """Give the finest usable number for a question, and say which finer ones are closed and why.

        A view is usable when the noise is at most half of the number nine times in ten. Place widens from
        the province to its larger region to the country, sector from the section to all, the period to 7
        and 28 days.
        """
        try:
            found = finest(db(), indicator, sector, region, until, days)
        except BadQuestion as error:
            raise click.UsageError(str(error)) from None
        if as_json:
            click.echo(json.dumps([asdict(v) for v in found.views], default=str))
        else:
            click.echo("\n".join(lines(found)))

    return command


def lines(found: Finest) -> Sequence[str]:
    """Return an answer as lines for a terminal."""
    answer = found.answer
    head = sentence(answer) if answer else "Too small to say: no view of this question is usable."
    return [head, "", *(_line(v) for v in found.views)]


def _line(view: View) -> str:
    number = "-" if view.value is None else f"{view.value:,} ± {view.e90:,}"
    said = "answer" if view.answer else view.why or "usable"
    return f"{number:>16}  {where(view.sector, view.region)}, {when(view.first_day, view.last_day)}: {said}"
