"""Who is told what, and when, as pure functions."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notified import NOON, a_notice, a_row

from connectors.notifying.rules import (
    GATHER,
    LONGEST_PAUSE,
    Digest,
    Quiet,
    Rate,
    Route,
    Silence,
    cells,
    hold,
    matchers,
    newest,
    over,
    pause,
    routed,
)

UTC_ZONE, BANGKOK = ZoneInfo("UTC"), ZoneInfo("Asia/Bangkok")
ZONES = [UTC_ZONE, BANGKOK, *map(ZoneInfo, ("Asia/Kathmandu", "Europe/Berlin", "America/St_Johns"))]
instants = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
walls = st.times().map(lambda t: t.replace(second=0, microsecond=0))
quiets = st.builds(Quiet, walls, walls).filter(lambda q: q.start != q.end)
digests = st.one_of(st.just(Digest("hourly")), st.builds(Digest, st.just("daily"), walls))
zones = st.sampled_from(ZONES)
URGENT = a_notice(kind="CASE_URGENT", organisation="mwg", facts={})


# Routes


@pytest.mark.parametrize(
    ("route", "takes"),
    [
        ({}, True),
        ({"indicators": {"RID"}, "sectors": {"C"}, "regions": {"TH-74"}}, True),
        ({"regions": {"TH-10"}}, False),
        ({"regions": {"ALL"}}, False),
        ({"kinds": {"ALERT_CLOSED"}}, False),
        ({"kinds": {"ALERT_OPENED"}}, True),
        ({"min_severity": "critical"}, False),
        ({"organisations": {"mwg"}}, True),
    ],
)
def test_a_route_takes_what_it_names(route, takes):
    notice = a_notice(facts=a_row(parts=()))
    assert Route(("mail",), **route).takes(notice) == takes


def test_an_alert_goes_also_where_one_of_its_parts_is():
    surge = a_notice(
        sector="ALL", region="ALL", facts=a_row(parts=[("RID", "C", "TH-10"), ("DEB", "ALL", "TH-74")])
    )
    assert Route(("mail",), regions={"TH-10"}).takes(surge)
    assert Route(("mail",), regions={"TH-10"}, sectors={"C"}).takes(surge)
    assert not Route(("mail",), regions={"TH-74"}, indicators={"RID"}).takes(surge), (
        "one cell must match in all"
    )
    assert cells(a_notice(facts=a_row())) == [("RID", "C", "TH-74"), ("RID", "ALL", "TH-74")]


@pytest.mark.parametrize("kind", ["CASE_URGENT", "CASE_CLUSTER"])
def test_a_case_goes_to_its_own_organisation_and_nowhere_else(kind):
    case = a_notice(kind=kind, organisation="mwg", facts={})
    assert Route(("mail",), organisations={"mwg"}).takes(case)
    assert not Route(("mail",), organisations={"other"}).takes(case)
    assert not Route(("mail",)).takes(case), "a route without an organisation takes no case"
    nobodys = a_notice(kind=kind, organisation="", facts={})
    assert not Route(("mail",), organisations={""}).takes(nobodys)


def test_what_has_no_place_is_news_everywhere():
    silent = a_notice(kind="SOURCE_SILENT", indicator="", sector="", region="", facts={})
    assert Route(("mail",), regions={"TH-74"}, indicators={"RID"}).takes(silent)


def test_an_acknowledgement_is_for_all_but_those_who_named_others():
    notice = a_notice(kind="ALERT_ACKNOWLEDGED", organisation="mwg")
    assert Route(("mail",)).takes(notice) and Route(("mail",), organisations={"mwg"}).takes(notice)
    assert not Route(("mail",), organisations={"other"}).takes(notice)


def test_of_several_routes_to_a_channel_the_earliest_counts():
    at_once, later = Route(("a", "b")), Route(("a", "c"), digest=Digest("daily", time(8)))
    found = routed([later, at_once], a_notice(), NOON)
    tomorrow = datetime(2026, 3, 14, 8, tzinfo=UTC)
    assert found == {"a": (NOON, NOON + GATHER), "b": (NOON, NOON + GATHER), "c": (tomorrow, tomorrow)}


# Quiet hours and digests


@pytest.mark.parametrize(
    ("at", "quiet", "zone", "ends"),
    [
        ("2026-03-13T23:30", "22:00-07:00", "Asia/Bangkok", "2026-03-14T00:00"),  # 06:30 there
        ("2026-03-13T12:00", "22:00-07:00", "Asia/Bangkok", None),  # 19:00 there
        ("2026-03-13T15:00", "22:00-07:00", "Asia/Bangkok", "2026-03-14T00:00"),  # 22:00 sharp
        ("2026-03-14T00:00", "22:00-07:00", "Asia/Bangkok", None),  # 07:00 sharp
        ("2026-03-13T12:30", "12:00-13:00", "UTC", "2026-03-13T13:00"),
        ("2026-03-28T23:00", "22:00-07:00", "Europe/Berlin", "2026-03-29T05:00"),  # the night of summer time
        ("2026-10-24T23:00", "22:00-07:00", "Europe/Berlin", "2026-10-25T06:00"),
    ],
)
def test_quiet_hours_are_those_of_the_wall_clock(at, quiet, zone, ends):
    found = Quiet.parse(quiet).ends(datetime.fromisoformat(at + "+00:00"), ZoneInfo(zone))
    assert found == (datetime.fromisoformat(ends + "+00:00") if ends else None)


@pytest.mark.parametrize(
    ("at", "digest", "zone", "then"),
    [
        ("2026-03-13T12:00", "daily", "Asia/Bangkok", "2026-03-14T01:00"),  # 08:00 there
        ("2026-03-13T01:00", "daily 08:00", "Asia/Bangkok", "2026-03-13T01:00"),
        ("2026-03-13T12:20", "hourly", "UTC", "2026-03-13T13:00"),
        ("2026-03-13T12:20", "hourly", "Asia/Kathmandu", "2026-03-13T13:15"),  # 45 minutes off
    ],
)
def test_digests_come_at_the_wall_clock(at, digest, zone, then):
    found = Digest.parse(digest).next(datetime.fromisoformat(at + "+00:00"), ZoneInfo(zone))
    assert found == datetime.fromisoformat(then + "+00:00")


@pytest.mark.parametrize("text", ["", "22-7", "22:00-22:00", "25:00-07:00", "22:00-7:00", "22:61-07:00"])
def test_quiet_hours_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="22:00-07:00"):
        Quiet.parse(text)


@pytest.mark.parametrize("text", ["", "weekly", "daily 8", "daily 24:00", "hourly 08:00"])
def test_digests_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="digest is"):
        Digest.parse(text)


@given(instants, quiets, zones)
def test_nobody_is_told_in_quiet_hours_and_everybody_after_them(at, quiet, zone):
    then = hold(at, quiet, None, zone)
    assert at <= then <= at + timedelta(hours=25) and quiet.ends(then, zone) is None
    if quiet.ends(at, zone) is None:
        assert then == at


@given(instants, instants, digests, zones)
def test_a_digest_is_the_next_and_the_same_for_all_that_wait_for_it(one, other, digest, zone):
    first, second = sorted((one, other))
    then = hold(first, None, digest, zone)
    assert first <= then <= first + (timedelta(hours=1) if digest.every == "hourly" else timedelta(hours=25))
    assert hold(then, None, digest, zone) == then
    assert then <= hold(second, None, digest, zone)
    if second <= then:
        assert hold(second, None, digest, zone) == then


@given(instants, quiets, digests, zones)
def test_a_digest_never_comes_in_quiet_hours(at, quiet, digest, zone):
    then = hold(at, quiet, digest, zone)
    assert at <= then <= at + timedelta(hours=50) and quiet.ends(then, zone) is None


def test_what_is_critical_waits_for_nothing_unless_the_route_says_so():
    night = datetime(2026, 3, 13, 20, tzinfo=UTC)
    quiet = {"quiet": Quiet(time(18), time(7)), "digest": Digest("daily"), "organisations": {"mwg"}}
    assert Route(("mail",), **quiet).times(URGENT, night) == (night, night)
    morning = datetime(2026, 3, 14, 8, tzinfo=UTC)
    assert Route(("mail",), **quiet, wakes=None).times(URGENT, night) == (morning, morning)
    assert Route(("mail",), **quiet).times(a_notice(), night) == (morning, morning)
    assert Route(("mail",), **quiet, wakes="warning").times(a_notice(), night) == (night, night + GATHER)


# Silences


def test_a_silence_holds_what_matches_in_all_fields_and_while_it_lasts():
    silence = Silence(
        "s", matchers(["region=TH-74,TH-10", "indicator=RID"]), NOON, NOON + timedelta(hours=1), "me"
    )
    assert silence.holds(a_notice(), NOON) and silence.holds(a_notice(region="TH-10"), NOON)
    assert not silence.holds(a_notice(indicator="DEB"), NOON)
    assert not silence.holds(a_notice(), NOON + timedelta(hours=1))
    assert not silence.holds(a_notice(), NOON - timedelta(seconds=1))


@pytest.mark.parametrize("texts", [[], ["region"], ["region="], ["facts=1"], ["=x"]])
def test_a_matcher_that_is_none_is_refused(texts):
    with pytest.raises(ValueError, match="matcher"):
        matchers(texts)


# Grouping


def test_what_is_true_by_now_is_told_and_not_how_it_came_about():
    opened, grew = a_notice(1), a_notice(1, kind="ALERT_UPDATED", facts=a_row(value=99))
    closed, other = a_notice(1, kind="ALERT_CLOSED"), a_notice(2)
    assert [n.kind for n in newest([opened, grew, other])] == ["ALERT_OPENED", "ALERT_OPENED"]
    assert newest([opened, grew])[0].facts["value"] == 99
    assert newest([opened, other, closed]) == [closed, other]
    assert newest([grew, closed]) == [closed]
    acted = a_notice(1, kind="ALERT_ACKNOWLEDGED", organisation="mwg")
    assert newest([opened, acted, grew]) == [*newest([opened, grew]), acted]


def test_what_opened_and_closed_meanwhile_is_known():
    opened, closed, acted = (a_notice(1, kind=f"ALERT_{k}") for k in ("OPENED", "CLOSED", "ACKNOWLEDGED"))
    assert over([opened, closed, acted, a_notice(2)]) == {"alert-1"}
    assert over([closed]) == over([opened]) == over([closed, opened]) == set()


# Rates and pauses


@given(
    st.lists(st.floats(0, 1200), min_size=1, max_size=60),
    st.floats(1, 600),
    st.integers(1, 20),
)
def test_no_hour_has_more_messages_than_the_rate_and_one_burst(gaps, per_hour, burst):
    rate, state, now, gone = Rate(per_hour, burst), None, NOON, []
    for gap in gaps:
        now = max(rate.next(state, now + timedelta(seconds=gap)), now)
        state = rate.after(state, now)
        gone.append(now)
    for n, start in enumerate(gone):
        within = [at for at in gone[n:] if at < start + timedelta(hours=1)]
        assert len(within) <= burst + per_hour + 1


@given(st.floats(1, 600), st.integers(1, 20))
def test_after_a_burst_one_goes_each_step(per_hour, burst):
    rate, state = Rate(per_hour, burst), None
    for _ in range(burst):
        assert rate.next(state, NOON) == NOON
        state = rate.after(state, NOON)
    assert abs(rate.next(state, NOON) - NOON - timedelta(hours=1) / per_hour) < timedelta(seconds=0.01)


@given(st.integers(1, 500), st.floats(0, 1e6), st.floats(0, 1))
def test_a_pause_is_longer_after_each_failure_and_never_shorter_than_asked(failures, asked, chance):
    def uniform(low, high):
        return low + chance * (high - low)

    found = pause(failures, asked, uniform)
    assert timedelta(seconds=1) <= found <= max(LONGEST_PAUSE, timedelta(seconds=min(asked, 86_400)))
    assert found >= timedelta(seconds=min(asked, 86_400))
    assert pause(failures, 0, uniform) <= pause(failures + 1, 0, uniform)
