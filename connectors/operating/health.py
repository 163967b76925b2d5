"""Health of each source, for the operator: is it heard, is it understood, has its form changed?

Counts before noise, from the state folder: for a signed-in operator and the operator's own terminal only.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors.operating.deadletters import Listed
from connectors.operating.rhythm import WEEKS, Silence, silence
from connectors.outbox import Outbox
from connectors.pulling.manners import TROUBLES
from connectors.pulling.pulls import State
from connectors.sources import Source
from connectors.tally import Tally, hour_of
from schemas import topics
from schemas.codec import Codec, Undecodable
from schemas.events import DeadLetter, SealedReport

_RECENT = 7 * 24
_MOST_WAITING = 20_000
_FALL = 0.1  # of the mapped share
_JUMP = 0.2  # of the share with unknown consent
_LEAST = 20  # reports before a share says something


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages of one source that are not delivered yet."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Week:
    """What came in the last seven days, and the same shares in the weeks before.

    Attributes:
        accepted: new reports.
        duplicates: deliveries that were there already.
        refused: deliveries whose sender could not be verified.
        tests: deliveries of a test.
        consent_unknown: share of the accepted, 0 to 1.
        mapped: share of filled keys that the mapping reads, 0 to 1; None where nothing says.
        consent_unknown_before: in the weeks before; None where too few came.
        mapped_before: in the weeks before; None where too few came.
        too_large: deliveries larger than is taken.
        ignored: records that the mapping says are no reports.
        form_unknown: reports of a form version that the mapping does not know.
        new_keys: names of keys never seen before that no mapping reads.
    """

    accepted: int
    duplicates: int
    refused: int
    tests: int
    consent_unknown: float | None
    mapped: float | None
    consent_unknown_before: float | None
    mapped_before: float | None
    too_large: int
    ignored: int
    form_unknown: int
    new_keys: int


@dataclass(frozen=True, slots=True)
class Health:
    """One source.

    Attributes:
        name: its name.
        test: it is in test mode.
        last_accepted: start of the hour in which something last came; None if never.
        waiting: not delivered yet.
        dead: dead letters that nobody has dealt with, by reason.
        silence: against its usual rhythm.
        week: the last seven days.
        pull: how its pulls are going; None where it is not pulled.
        warnings: what an operator should look at, in words.
    """

    name: str
    test: bool
    last_accepted: datetime | None
    waiting: Waiting
    dead: Mapping[str, int]
    silence: Silence
    week: Week
    pull: State | None = None
    warnings: tuple[str, ...] = ()


def waiting(outbox: Outbox, codec: Codec) -> dict[str, Waiting]:
    """Return what waits in the outbox by source, of the oldest 20,000 messages."""
    found: dict[str, Waiting] = {}
    for parcel in outbox.oldest(_MOST_WAITING):
        try:
            if parcel.topic == topics.SEALED.name:
                report = codec.decode(SealedReport, parcel.value)
                name, at = report.source_id, report.received_at
            elif parcel.topic == topics.DEADLETTERS.name:
                letter = codec.decode(DeadLetter, parcel.value)
                name, at = letter.source_id or "", letter.at_hour
            else:
                continue
        except Undecodable:
            continue
        before = found.get(name, Waiting())
        found[name] = Waiting(before.count + 1, min(at, before.oldest) if before.oldest else at)
    return found


def health(
    source: Source,
    tally: Tally,
    waiting: Waiting,
    dead: Sequence[Listed],
    now: datetime,
    pull: State | None = None,
) -> Health:
    """Return the health of one source at ``now``."""
    hour = hour_of(now)
    hours = tally.hours(source.name, hour - (WEEKS + 4) * 168)
    came = _active(hours)
    reasons = Counter(one.letter.reason for one in dead if one.letter.source_id == source.name)
    week = _week(hours, tally.keys_since(source.name, hour - _RECENT + 1), hour)
    quiet = silence(came, hour)
    # A test is heard too, but teaches no rhythm.
    heard = came | hours.get("test", {}).keys()
    last = datetime.fromtimestamp(max(heard) * 3600, UTC) if heard else None
    found = Health(source.name, source.test, last, waiting, dict(reasons), quiet, week, pull)
    return replace(found, warnings=tuple(_warnings(found, now)))


def _active(hours: Mapping[str, Mapping[int, int]]) -> set[int]:
    """Return the hours in which the source was heard with something of its own, understood or not."""
    return {h for outcome, by in hours.items() if outcome == "new" or outcome.startswith("dead:") for h in by}


def _week(hours: Mapping[str, Mapping[int, int]], keys: tuple[int, int], now: int) -> Week:
    def total(outcome: str, *, recent: bool) -> int:
        return sum(n for h, n in hours.get(outcome, {}).items() if (h > now - _RECENT) == recent)

    def share(part: str, whole: str, *, recent: bool) -> float | None:
        if not (all_ := total(whole, recent=recent)) or (not recent and total("new", recent=False) < _LEAST):
            return None
        return total(part, recent=recent) / all_

    new_keys, old_keys = keys
    # Of a source that has just been connected every key is new.
    settled = old_keys or total("new", recent=False)
    return Week(
        accepted=total("new", recent=True),
        duplicates=total("duplicate", recent=True),
        refused=total("refused", recent=True),
        tests=total("test", recent=True),
        consent_unknown=share("consent_unknown", "new", recent=True),
        mapped=share("keys_mapped", "keys_filled", recent=True),
        consent_unknown_before=share("consent_unknown", "new", recent=False),
        mapped_before=share("keys_mapped", "keys_filled", recent=False),
        too_large=total("too_large", recent=True),
        ignored=total("ignored", recent=True),
        form_unknown=total("form_unknown", recent=True),
        new_keys=new_keys if settled else 0,
    )


def _warnings(found: Health, now: datetime) -> list[str]:
    week, said = found.week, []
    if found.silence.state == "silent":
        said.append(
            f"silent for {found.silence.hours} hours: about {found.silence.expected:.0f} active hours would be usual"
        )
    if found.waiting.oldest and (age := (now - found.waiting.oldest).total_seconds() / 3600) >= 2:
        said.append(
            f"{_many(found.waiting.count, 'message')} not delivered yet, the oldest for {age:.0f} hours"
        )
    if found.dead:
        said.append(f"{_many(sum(found.dead.values()), 'dead letter')} to look at")
    if pull := found.pull:
        said += [TROUBLES.get(code, code) for code in (pull.trouble, pull.doubt) if code]
    if week.refused:
        said.append(f"{_many(week.refused, 'delivery', 'deliveries')} not verified")
    if week.too_large:
        said.append(f"{_many(week.too_large, 'delivery', 'deliveries')} too large to be taken")
    if week.form_unknown:
        said.append(f"{_many(week.form_unknown, 'report')} of a form version the mapping does not know")
    if week.new_keys:
        said.append(f"{_many(week.new_keys, 'key')} never seen before, which the mapping does not read")
    if _moved(week.mapped_before, week.mapped, -_FALL) and week.accepted >= _LEAST:
        said.append(
            f"the mapping reads {week.mapped:.0%} of what is filled in; before {week.mapped_before:.0%}"
        )
    if _moved(week.consent_unknown_before, week.consent_unknown, _JUMP) and week.accepted >= _LEAST:
        said.append(
            f"consent is unknown in {week.consent_unknown:.0%}; before in {week.consent_unknown_before:.0%}"
        )
    return said


def _many(n: int, one: str, more: str = "") -> str:
    return f"{n} {one if n == 1 else more or one + 's'}"


def _moved(before: float | None, after: float | None, by: float) -> bool:
    if before is None or after is None:
        return False
    return after - before <= by if by < 0 else after - before >= by
