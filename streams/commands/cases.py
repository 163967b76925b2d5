"""``chorus cases``: what holders have to act on, and who has read it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from connectors.cases.audit import Act, Broken, Head
from connectors.cases.desk import NoSuchCase
from connectors.operating.unsealed import readable
from connectors.sqlite import NotNow
from streams import casework, console, operating
from streams.console import example


@click.group()
def cases() -> None:
    """Look at cases as the operator, and at who has read them. Every look is written down."""


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except NoSuchCase:
        raise click.ClickException("there is no such case") from None
    except (ConnectionError, NotNow) as error:
        raise click.ClickException(str(error)) from None
    except Broken as error:
        raise click.ClickException(f"the audit log is not what was written: {error}") from None


@cases.command(name="list", epilog=example("chorus cases list --json"))
@click.option("--page", default=0, show_default=True, type=click.IntRange(0, 10_000), help="50 on each.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def cases_list(page: int, as_json: bool) -> None:
    """List cases of every holder, urgent ones first: codes, never words."""
    node = console.node()
    with _answers():
        rows: list[dict[str, Any]] = casework.ask(node, "list", str(page))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        mark = "urgent" if row["urgent"] else ""
        mark = "withdrawn" if row["op"] == "WITHDRAW" else mark
        codes = ",".join(row["indicators"])
        click.echo(
            f"{row['case_id']}  {row['received_hour'][:13]}Z  {row['holder']:<16} {row['severity']:<8} {mark:<9} {codes}"
        )


@cases.command(name="show", epilog=example("chorus cases show 0b9c3f5e-6c1e-8f0e-9a54-2f1f3a0c9d11"))
@click.argument("case_id", type=click.UUID)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def cases_show(case_id: Any, as_json: bool) -> None:
    """Show a case as its holder sees it: redacted words, codes, and who says so. Never the original."""
    node = console.node()
    with _answers():
        case = casework.ask(node, "show", str(case_id))
    if as_json:
        click.echo(json.dumps(case))
        return
    words = case.pop("narratives")
    for name, value in case.items():
        shown = (
            ", ".join("/".join(v) if isinstance(v, list) else str(v) for v in value)
            if isinstance(value, list)
            else value
        )
        click.echo(f"{name.replace('_', ' ') + ':':<18} {shown}")
    for _, text in words:
        click.echo("\n" + readable(text.encode()))


@cases.group()
def audit() -> None:
    """Who has read cases, and whether that log is still what was written."""


@audit.command(name="list", epilog=example("chorus cases audit list --last 50"))
@click.option(
    "--last", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many entries."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def audit_list(last: int, as_json: bool) -> None:
    """List the newest entries, oldest first. This, too, is written down."""
    node = console.node()
    with _answers():
        log = casework.audit_log(node)
        log.note(Act(at=node.now(), who=operating.who(), organisation="", action="AUDIT"))
        entries = reversed(log.entries(last))
    for seq, act in entries:
        ids = [str(case) for case in act.cases]
        if as_json:
            until = act.until and act.until.isoformat()
            click.echo(
                json.dumps(
                    {
                        "seq": seq, "at": act.at.isoformat(), "who": act.who, "organisation": act.organisation,
                        "action": act.action, "cases": ids, "why": act.why,
                        "disclosure": act.about and str(act.about), "until": until,
                    }
                )
            )  # fmt: skip
        else:
            named = ids[0] if len(ids) == 1 else f"{len(ids)} cases" if ids else ""
            who = f"{act.who}@{act.organisation}" if act.organisation else f"{act.who} (operator)"
            click.echo(
                f"{seq:>7}  {act.at:%Y-%m-%d %H:%M:%S}Z  {act.action:<9}  {who:<28} {named} {act.why}".rstrip()
            )


@audit.command(name="head", epilog=example("chorus cases audit head"))
def audit_head() -> None:
    """Print the head of the log: keep it somewhere else, such as in a mail to yourself every night."""
    with _answers():
        click.echo(casework.audit_log(console.node()).head())


@audit.command(name="verify", epilog=example("chorus cases audit verify --head 120:9f86d081884c7d65..."))
@click.option("--head", "heads", multiple=True, help="A head that was kept; may be given several times.")
def audit_verify(heads: tuple[str, ...]) -> None:
    """Look through the whole log. The exit status is 1 if an entry was changed, removed, added or moved.

    That its end was cut off shows only against a head that was kept somewhere else.
    """
    try:
        kept = [Head.read(text) for text in heads]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    with _answers():
        head = casework.audit_log(console.node()).verify(*kept)
    against = (
        f", and {len(kept)} kept heads are in it"
        if kept
        else "; give a kept --head to see that its end is there"
    )
    click.echo(f"{head.seq} entries, each follows the one before{against}")
    click.echo(head)
