"""Disclosure: whatever people try in whatever order, an original opens for two of one organisation, and for a while."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.cases import disclosure
from connectors.cases.audit import Act
from connectors.cases.disclosure import LASTS, WAITS, NotAllowed, standing
from connectors.cases.feed import Reader

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CASE, NAME = UUID(int=1), UUID(int=2)
BOTH = frozenset({"CASES", "DISCLOSE"})


def a_reader(name="a", organisation="union", roles=BOTH):
    return Reader(name, organisation, frozenset({"hotline"}), frozenset(roles))


PEOPLE = [
    a_reader("a"),
    a_reader("b"),
    a_reader("c"),
    a_reader("x", "ngo"),
    a_reader("y", "ngo"),
    a_reader("r", roles={"CASES"}),
    a_reader("d", roles={"DISCLOSE"}),
    a_reader("operator", ""),
]
MAY = {"a", "b", "c"}


class Disclosures(RuleBasedStateMachine):
    """One disclosure, everybody who may try something, and a clock. The model is kept by hand beside it."""

    def __init__(self):
        super().__init__()
        self.now, self.acts = NOW, []
        self.asked_by = self.approved_by = None
        self.ends = None
        self.ended = False

    @property
    def open(self):
        return bool(self.approved_by) and not self.ended and self.now < self.ends

    @property
    def waiting(self):
        return bool(self.asked_by) and not self.approved_by and not self.ended and self.now < self.ends

    def tried(self, act, who, *more):
        try:
            self.acts.append(act(standing(self.acts), who, self.now, *more))
        except NotAllowed:
            return False
        return True

    @precondition(lambda self: not self.acts)
    @rule(who=st.sampled_from(PEOPLE), why=st.sampled_from(["DANGER", "because", ""]))
    def ask(self, who, why):
        try:
            self.acts.append(disclosure.ask(who, CASE, why, NAME, self.now))
        except NotAllowed:
            assert why != "DANGER" or BOTH - who.roles or not who.organisation
        else:
            assert why == "DANGER" and who.roles >= BOTH
            self.asked_by, self.ends, self.organisation = who.name, self.now + WAITS, who.organisation

    def theirs(self, who):
        return bool(self.asked_by) and who.roles >= BOTH and who.organisation == self.organisation

    @rule(who=st.sampled_from(PEOPLE))
    def approve(self, who):
        may = self.theirs(who) and self.waiting and who.name != self.asked_by
        assert self.tried(disclosure.approve, who) == may
        if may:
            self.approved_by, self.ends = who.name, self.now + LASTS

    @rule(who=st.sampled_from(PEOPLE))
    def refuse(self, who):
        may = self.theirs(who) and self.waiting and who.name != self.asked_by
        assert self.tried(disclosure.refuse, who) == may
        self.ended |= may

    @rule(who=st.sampled_from(PEOPLE))
    def revoke(self, who):
        may = self.theirs(who) and (self.waiting or self.open)
        assert self.tried(disclosure.revoke, who) == may
        self.ended |= may

    @rule(who=st.sampled_from(PEOPLE))
    def look(self, who):
        may = self.theirs(who) and self.open and who.name in (self.asked_by, self.approved_by)
        assert self.tried(disclosure.opening, who) == may

    @rule(minutes=st.sampled_from([1, 30, 59, 60, 61, 24 * 60]))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @invariant()
    def it_stands_where_it_should(self):
        found = standing(self.acts)
        if found is None:
            assert not self.asked_by
            return
        state = "OPEN" if self.open else "ASKED" if self.waiting else "ENDED"
        assert (found.state(self.now), found.asked_by, found.approved_by or None) == (
            state,
            self.asked_by,
            self.approved_by,
        )

    @invariant()
    def an_original_was_opened_by_two_of_one_organisation_only(self):
        for n, act in enumerate(self.acts):
            if act.action == "OPEN":
                before = self.acts[:n]
                (asked,) = [a for a in before if a.action == "ASK"]
                (approved,) = [a for a in before if a.action == "APPROVE"]
                assert asked.who != approved.who and asked.organisation == approved.organisation
                assert act.who in (asked.who, approved.who)
                assert approved.at <= act.at < approved.at + LASTS
                assert not [a for a in before if a.action in ("REFUSE", "REVOKE")]


TestDisclosures = Disclosures.TestCase
TestDisclosures.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


@pytest.mark.guards("R15")
def test_who_asks_and_approves_reads_for_an_hour_and_not_a_second_longer():
    a, b = a_reader("a"), a_reader("b")
    acts = [disclosure.ask(a, CASE, "DANGER", NAME, NOW)]
    acts.append(disclosure.approve(standing(acts), b, NOW + timedelta(minutes=5)))
    last = NOW + timedelta(minutes=65)
    for who in (a, b):
        assert disclosure.opening(standing(acts), who, last - timedelta(seconds=1)).cases == (CASE,)
        with pytest.raises(NotAllowed, match="this is not open"):
            disclosure.opening(standing(acts), who, last)


def test_how_long_it_lasts_is_the_settings_to_say():
    acts = [disclosure.ask(a_reader("a"), CASE, "DANGER", NAME, NOW)]
    act = disclosure.approve(standing(acts), a_reader("b"), NOW, timedelta(minutes=10))
    assert standing([*acts, act]).until == NOW + timedelta(minutes=10)


def test_acts_that_follow_nothing_come_to_nothing():
    lost = Act(at=NOW, who="b", organisation="union", action="APPROVE", cases=(CASE,), about=NAME, until=NOW)
    assert standing([lost]) is None and standing([]) is None
