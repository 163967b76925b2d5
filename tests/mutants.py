"""Each privacy pitfall, its fix, and a mutant that removes the fix: the tests that guard it must then fail.

The work tree is copied once to a temporary folder; there one mutant at a time is put in, its tests are run, and the
file is restored. Every test named by a mutant must fail, and fail for what it guards: a broken import, a name that is
not there or a syntax error does not count. Exit status 1: a mutant lives, or a test fails without one.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/privacy-tests.md"
PITFALLS = {
    "R1": "A window is released twice",
    "R2": "A crash between drawing and writing",
    "R3": "Fresh noise when a window is played again",
    "R4": "The same noise on a new count: corrections",
    "R5": "Which cells exist tells something",
    "R6": "Tables and levels whose losses do not add up",
    "R7": "Negative numbers cut off at zero",
    "R8": "A unit spends more than it may, or that it has shows",
    "R9": "Noise made of floats",
    "R10": "The time of publication tells something",
    "R11": "Alerts made of raw numbers",
    "R12": "Leaks beside the releases",
    "R13": "Raw data kept for longer than it is needed",
    "R14": "A withdrawal that changes or repeats a release",
    "R15": "Cases and counts that can be brought together",
    "R16": "Several releases of the same workplaces",
    "R17": "Noise drawn when somebody asks",
    "R18": "Windows of the stream processor that never close",
    "R19": "Limits or a domain that follow the data",
    "R20": "Windows in several time zones",
}


@dataclass(frozen=True)
class Mutant:
    """One fix removed.

    Attributes:
        pitfall: of which pitfall.
        fix: what the fix is, in words.
        file: where it is.
        old: text that occurs exactly once in the file.
        new: what stands there instead.
        tests: node ids that must fail.
    """

    pitfall: str
    fix: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


JOURNAL, LEDGER, ADMIT = "streams/journal.py", "streams/ledger.py", "streams/steps/admit.py"
_RETURN_KNOWN = """            if known is not None:
                return known
            self.check(now, {})
"""

MUTANTS = (
    Mutant(
        "R1",
        "the journal answers with the bytes it has",
        JOURNAL,
        _RETURN_KNOWN,
        """            self._db.execute(
                "DELETE FROM release WHERE name = ? AND window_start = ?", (table.name, seconds(window_start))
            )
            self.check(now, {})
""",
        (
            "tests/test_journal.py::test_a_window_released_twice_has_the_bytes_it_had_though_the_counts_have_changed",
            "tests/test_pitfalls.py::test_however_often_and_by_whom_a_window_is_asked_for_its_noise_is_drawn_once",
        ),
    ),
    Mutant(
        "R2",
        "admission, noise, ledger and release are one transaction",
        JOURNAL,
        """        with self._db.write():
            known = self._payload(table, window_start)
""",
        """        with self._db:
            known = self._payload(table, window_start)
""",
        (
            "tests/test_pitfalls.py::test_a_release_that_fails_in_the_middle_of_being_written_leaves_nothing_behind",
        ),
    ),
    Mutant(
        "R2",
        "what is committed is published until the broker has acknowledged it",
        JOURNAL,
        '"INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"',
        '"INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"',
        (
            "tests/test_journal.py::test_a_release_killed_anywhere_twice_is_still_one_payload_and_one_debit",
            "tests/test_releaser.py::test_a_release_the_broker_did_not_take_is_sent_again_byte_for_byte",
        ),
    ),
    Mutant(
        "R3",
        "a journal that is lost or older than its releases draws nothing",
        JOURNAL,
        "if found is None or found[0] is None or moment(found[0]) < newest:",
        "if found is None:",
        ("tests/test_journal_kept.py::test_a_journal_that_is_older_than_its_releases_is_refused",),
    ),
    Mutant(
        "R3",
        "a lost journal takes its releases back before it draws",
        JOURNAL,
        """                        self._insert(event, payload)
                    except""",
        """                        pass
                    except""",
        (
            "tests/test_journal_kept.py::test_a_lost_journal_gets_its_releases_back_byte_for_byte_and_draws_none_again",
            "tests/test_pitfalls.py::test_however_often_and_by_whom_a_window_is_asked_for_its_noise_is_drawn_once",
        ),
    ),
    Mutant(
        "R4",
        "a released window is never corrected",
        JOURNAL,
        _RETURN_KNOWN,
        """            if known is not None:
                event, late = self._codec.decode(Release, known), self._units.fresh(table, contributions)
                first = __import__("dataclasses").replace(event.cells[0], value=event.cells[0].value + len(late))
                return self._codec.encode(__import__("dataclasses").replace(event, cells=(first, *event.cells[1:])))
            self.check(now, {})
""",
        (
            "tests/test_pitfalls.py::test_a_late_report_changes_no_byte_of_what_was_released_and_counts_in_the_next_window",
        ),
    ),
    Mutant(
        "R5",
        "every cell of the domain is released, whatever it holds",
        JOURNAL,
        "for (i, s, r), v in zip(domain, values, strict=True)",
        "for (i, s, r), v in zip(domain, values, strict=True) if v",
        ("tests/test_journal.py::test_an_empty_day_and_a_busy_day_look_alike",),
    ),
    Mutant(
        "R5",
        "a domain changes with its version only",
        JOURNAL,
        "            self._domain_is_kept(table)\n",
        "            pass\n",
        ("tests/test_journal_kept.py::test_a_domain_changes_only_with_its_version_and_only_forward",),
    ),
    Mutant(
        "R5",
        "a code that is not in the domain counts as OTHER",
        ADMIT,
        'indicator if indicator in known["indicator"] else OTHER,',
        "indicator,",
        ("tests/test_admit.py::test_unknown_codes_count_as_other_and_as_one_cell",),
    ),
    Mutant(
        "R6",
        "what a table promises is exactly what it loses",
        "streams/steps/policy.py",
        "    if spent != kept:\n",
        "    if spent < 0:\n",
        ("tests/test_policy.py::test_what_is_unknown_impossible_or_unsafe_is_refused_with_the_reason",),
    ),
    Mutant(
        "R6",
        "the losses of all tables add up",
        "streams/steps/policy.py",
        "return sum(t.milli_epsilon for t in self.tables)",
        "return max(t.milli_epsilon for t in self.tables)",
        (
            "tests/test_explain.py::test_the_strict_promise_is_the_arithmetic_of_its_numbers",
            "tests/test_admit.py::test_in_10000_streams_all_shipped_tables_together_move_by_at_most_their_sum_and_twice_for_a_person",
        ),
    ),
    Mutant(
        "R6",
        "the journal's database refuses a debit that is not the arithmetic",
        JOURNAL,
        "THEN sensitivity * 1000 = loss * noise_scale",
        "THEN sensitivity * 1000 >= loss * noise_scale",
        ("tests/test_journal.py::test_the_database_itself_refuses_a_debit_that_is_not_the_arithmetic",),
    ),
    Mutant(
        "R7",
        "nothing is cut off at zero",
        "streams/steps/draw.py",
        "return [int(value) for value in mechanism([int(c) for c in counts])]",
        "return [max(0, int(value)) for value in mechanism([int(c) for c in counts])]",
        (
            "tests/test_noise.py::test_released_empty_cells_are_whole_numbers_below_and_above_zero_with_a_mean_of_zero",
            "tests/test_draw.py::test_every_value_is_an_integer_and_negatives_are_kept",
        ),
    ),
    Mutant(
        "R8",
        "a unit adds to at most `cells` cells of a table in its own week",
        ADMIT,
        "            or used[c.unit] >= table.cells\n",
        "",
        (
            "tests/test_admit.py::test_a_workplace_adds_to_at_most_c_cells_in_an_own_week_however_its_reports_are_spread",
            "tests/test_journal.py::test_the_caps_hold_across_windows_and_across_restarts",
        ),
    ),
    Mutant(
        "R8",
        "a unit is counted in at most so many own weeks of a block",
        ADMIT,
        "            or (new_week and counted[c.unit] >= policy.own_weeks_per_year)\n",
        "",
        (
            "tests/test_admit.py::test_a_workplace_is_counted_in_twelve_own_weeks_of_a_year_and_not_in_a_thirteenth",
            "tests/test_journal.py::test_a_workplace_is_counted_in_twelve_own_weeks_of_a_year_over_all_tables",
        ),
    ),
    Mutant(
        "R8",
        "limits are kept for each workplace, not for a person over all of them",
        ADMIT,
        "contributions = [c for c in newest(contributions) if c.unit not in ledger.closed]",
        "contributions = list({c.report_token: c for c in newest(contributions)}.values())",
        ("tests/test_admit.py::test_reports_revised_to_name_another_workplace_do_not_couple_the_two",),
    ),
    Mutant(
        "R8",
        "the journal remembers what was admitted in the own week",
        LEDGER,
        "WHERE name = ? AND unit = ? AND own_week = ?",
        "WHERE name = ? AND unit = ? AND own_week < 0 + 0 * ?",
        ("tests/test_journal.py::test_the_caps_hold_across_windows_and_across_restarts",),
    ),
    Mutant(
        "R8",
        "what was considered once is not considered again",
        LEDGER,
        "[(table.name, c.contribution_id, start) for c in fresh]",
        "[(table.name, c.contribution_id, start) for c in fresh[:0]]",
        ("tests/test_journal.py::test_a_contribution_considered_once_is_never_counted_again",),
    ),
    Mutant(
        "R8",
        "a rotation of keys takes along what was spent",
        LEDGER,
        'for table in ("admitted", "own_week"):',
        'for table in ("own_week",):',
        (
            "tests/test_journal_kept.py::test_a_rotation_carries_over_what_was_spent_and_when_the_own_week_began",
        ),
    ),
    Mutant(
        "R8",
        "nothing shows that a unit is exhausted",
        JOURNAL,
        "            domain = self._policy.domain(table)\n            values",
        '            __import__("logging").getLogger("streams").debug("%d of %d", len(added), len(fresh))\n'
        "            domain = self._policy.domain(table)\n            values",
        (
            "tests/test_journal_search.py::test_what_an_exhausted_unit_sends_leaves_every_released_byte_and_every_log_as_it_was[12]",
        ),
    ),
    Mutant(
        "R9",
        "noise is drawn on whole numbers, by OpenDP",
        "streams/steps/draw.py",
        "    return [int(value) for value in mechanism([int(c) for c in counts])]",
        """    import numpy as np

    return [int(np.rint(c + np.random.laplace(0, noise.scale))) for c in counts]""",
        (
            "tests/test_noise.py::test_200000_draws_follow_the_promised_distribution[laplace 2]",
            "tests/test_house_rules.py::test_steps_read_no_clock_and_draw_no_other_randomness",
        ),
    ),
    Mutant(
        "R9",
        "what is published is a whole number",
        "streams/steps/draw.py",
        "return [int(value) for value in mechanism([int(c) for c in counts])]",
        "return [value + 0.25 for value in mechanism([int(c) for c in counts])]",
        ("tests/test_draw.py::test_every_value_is_an_integer_and_negatives_are_kept",),
    ),
    Mutant(
        "R10",
        "a release waits for its instant",
        JOURNAL,
        "AND (?1 IS NULL OR due <= ?1)",
        "AND (?1 IS NULL OR due <= ?1 + 1000000000)",
        (
            "tests/test_journal_kept.py::test_what_is_committed_waits_for_its_instant",
            "tests/test_pitfalls.py::test_an_empty_day_and_a_busy_day_are_published_at_the_same_instant",
        ),
    ),
    Mutant(
        "R10",
        "what is late goes out at the next instant of a public schedule",
        "streams/steps/publish.py",
        "return first + max(0, -(-(committed - first) // step)) * step",
        "return max(first, committed) if step else first",
        ("tests/test_journal_kept.py::test_releases_are_published_by_schedule_however_long_counting_took",),
    ),
    Mutant(
        "R10",
        "a message says the end of its window, not when it was made",
        "streams/releaser.py",
        "return datetime.fromtimestamp(start, UTC) + timedelta(hours=hours or 24)",
        "return datetime.now(UTC) + 0 * timedelta(hours=hours or start)",
        ("tests/test_releaser.py::test_a_release_is_of_the_end_of_its_window_which_is_public",),
    ),
    Mutant(
        "R11",
        "alerts are made of released cells",
        "streams/watch.py",
        "            values[index, in_order] = released\n",
        "            values[index, in_order] = released\n"
        '        values[-1:] += self._db.query("SELECT count() FROM sealed.contributions")[0][0]\n',
        (
            "tests/test_watch.py::test_what_was_reported_makes_no_difference",
            "tests/test_watch.py::test_the_watcher_reads_released_numbers_and_nothing_else",
        ),
    ),
    Mutant(
        "R12",
        "metrics say what lives and count nothing",
        "connectors/web/server.py",
        "        lines = [f'chorus_up{{part=\"{name}\"}} {int(ok)}' for name, ok in parts.health().items()]\n",
        "        lines = [f'chorus_up{{part=\"{name}\"}} {int(ok)}' for name, ok in parts.health().items()]\n"
        "        ((sealed,),) = parts.db.query('SELECT count() FROM sealed.contributions')\n"
        "        lines.append(f'chorus_reports {sealed}')\n",
        ("tests/test_web.py::test_metrics_tell_what_is_alive_and_no_number_that_moves_with_the_reports",),
    ),
    Mutant(
        "R12",
        "a manifest is made of the policy and of which sources were heard",
        JOURNAL,
        'manifest=json.dumps(manifest(policy, table, coverage), separators=(",", ":")),',
        'manifest=json.dumps(manifest(policy, table, coverage) | {"sum": sum(c.value for c in cells)}),',
        (
            "tests/test_pitfalls.py::test_what_is_published_of_two_windows_differs_in_nothing_but_values_and_window",
        ),
    ),
    Mutant(
        "R12",
        "no log says how much there was",
        "streams/landed.py",
        "    return found\n",
        '    __import__("logging").getLogger("streams").info("%d rows", len(found))\n    return found\n',
        (
            "tests/test_pitfalls.py::test_with_and_without_a_workplace_a_reader_sees_the_same_but_for_released_values",
        ),
    ),
    Mutant(
        "R13",
        "the journal forgets who was counted",
        LEDGER,
        "            self._forget(window_start)\n",
        "            pass\n",
        (
            "tests/test_pitfalls.py::test_the_journal_forgets_who_was_counted_and_keeps_what_later_windows_depend_on",
        ),
    ),
    Mutant(
        "R13",
        "the sealed zone ends by itself",
        "schemas/clickhouse/0001_sealed.sql",
        "TTL landed_hour + INTERVAL 30 DAY\n",
        "",
        (
            "tests/test_pitfalls.py::test_every_sealed_table_and_the_cases_end_by_themselves",
            "tests/test_pitfalls.py::test_a_contribution_whose_days_are_over_is_gone_from_the_sealed_zone",
        ),
    ),
    Mutant(
        "R13",
        "topics of reports are deleted after days",
        "schemas/topics.py",
        'Topic("chorus.reports.deidentified.v1", events.DeidentifiedReport, 4, 8)',
        'Topic("chorus.reports.deidentified.v1", events.DeidentifiedReport, 4, 0)',
        ("tests/test_pitfalls.py::test_only_releases_and_alerts_are_kept_by_a_topic_for_ever",),
    ),
    Mutant(
        "R14",
        "a window whose reports are withdrawn is not released anew",
        JOURNAL,
        _RETURN_KNOWN,
        """            if known is not None and contributions:
                return known
            self._db.execute(
                "DELETE FROM release WHERE name = ? AND window_start = ?", (table.name, seconds(window_start))
            )
            self.check(now, {})
""",
        (
            "tests/test_pitfalls.py::test_a_withdrawal_and_an_erasure_empty_the_raw_zone_and_change_no_byte_of_what_was_released",
        ),
    ),
    Mutant(
        "R14",
        "a withdrawal empties the sealed zone and the case path",
        "streams/agents/cases.py",
        "    _narrow(parts.store, rows)\n",
        "",
        (
            "tests/test_agents.py::test_a_withdrawal_empties_both_paths_and_only_of_that_report_whatever_its_epoch",
            "tests/test_pitfalls.py::test_a_withdrawal_and_an_erasure_empty_the_raw_zone_and_change_no_byte_of_what_was_released",
        ),
    ),
    Mutant(
        "R14",
        "what lands after it was taken back goes as well",
        "streams/agents/common.py",
        "            await persist(then, found, rows)\n",
        "",
        ("tests/test_agents.py::test_what_lands_after_it_was_taken_back_goes_as_well",),
    ),
    Mutant(
        "R14",
        "a revision that its source sends without a case takes the earlier case away",
        "streams/agents/cases.py",
        '    if rows:\n        store.insert("cases.superseded", rows, token)\n        _outdate(store, rows)\n',
        '    if rows:\n        store.insert("cases.superseded", rows, token)\n',
        (
            "tests/test_agents.py::test_a_revision_without_a_case_takes_the_earlier_cases_away_and_only_of_that_report",
        ),
    ),
    Mutant(
        "R14",
        "a case that lands after its source ended it goes as well",
        "streams/agents/cases.py",
        "    _narrow(store, rows)\n    _outdate(store, rows)\n",
        "    _narrow(store, rows)\n",
        ("tests/test_agents.py::test_a_case_that_lands_after_the_revision_that_ended_it_goes_as_well",),
    ),
    Mutant(
        "R14",
        "statistics taken back empty the sealed zone",
        "streams/agents/path.py",
        "    _uncount(parts.store, rows)\n",
        "",
        ("tests/test_agents.py::test_what_a_worker_takes_back_goes_from_its_path_and_only_of_that_report",),
    ),
    Mutant(
        "R14",
        "a case that was taken back is not to be read before it is gone",
        "schemas/clickhouse/0012_cases.sql",
        "  AND r.case_token NOT IN (SELECT case_token FROM cases.taken_back"
        " WHERE NOT has(consent_scopes, 'CASE_HANDLING'))\n",
        "",
        ("tests/test_cases.py::test_what_its_worker_took_back_is_not_to_be_read_before_it_is_gone",),
    ),
    Mutant(
        "R14",
        "an original goes with its case",
        "streams/agents/cases.py",
        'for table in ("cases.originals", "cases.reports"):',
        'for table in ("cases.reports",):',
        (
            "tests/test_cases.py::test_after_consent_has_ended_nothing_opens",
            "tests/test_cases.py::test_an_original_that_lands_after_it_was_taken_back_goes_as_well",
        ),
    ),
    Mutant(
        "R14",
        "nobody is told of what was taken back on its way",
        "streams/agents/cases.py",
        "    if there and (there := _still_allowed(store, there)):\n",
        "    if there:\n",
        ("tests/test_cases.py::test_of_what_was_taken_back_on_its_way_nobody_is_told",),
    ),
    Mutant(
        "R15",
        "a case is read by members who handle its holder",
        "connectors/cases/feed.py",
        "WHERE case_id = {case:UUID} AND holder IN {holders:Array(String)})",
        "WHERE case_id = {case:UUID} AND length({holders:Array(String)}) >= 0)",
        (
            "tests/test_cases.py::test_only_a_member_with_the_role_of_an_organisation_that_handles_the_holder_reads_and_only_with_consent",
            "tests/test_case_pages.py::test_what_is_not_theirs_and_what_is_not_there_are_answered_alike",
        ),
    ),
    Mutant(
        "R15",
        "who reads a case is written down first",
        "connectors/cases/desk.py",
        '        self._note(reader, "READ", case.case_id)\n',
        "",
        (
            "tests/test_cases.py::test_no_log_no_answer",
            "tests/test_case_pages.py::test_where_the_log_cannot_be_written_nothing_is_shown",
        ),
    ),
    Mutant(
        "R15",
        "each entry of the log of cases follows from the one before",
        "connectors/cases/audit.py",
        "    return hashlib.sha256(before + body.encode()).digest()\n",
        "    return hashlib.sha256(before[:0] + body.encode()).digest()\n",
        ("tests/test_case_audit.py::test_whatever_is_changed_removed_added_or_moved_is_seen",),
    ),
    Mutant(
        "R15",
        "an original is opened by two",
        "connectors/cases/disclosure.py",
        "    if reader.name == one.asked_by:\n",
        "    if not reader.name:\n",
        ("tests/test_case_pages.py::test_the_whole_way_of_a_disclosure_in_two_browsers",),
    ),
    Mutant(
        "R15",
        "a disclosure ends by itself",
        "connectors/cases/disclosure.py",
        "        if self.ended or now >= self.until:\n",
        "        if self.ended:\n",
        (
            "tests/test_disclosure.py::test_who_asks_and_approves_reads_for_an_hour_and_not_a_second_longer",
            "tests/test_cases.py::test_two_people_open_the_report_as_its_source_gave_it_and_every_step_is_noted",
        ),
    ),
    Mutant(
        "R15",
        "a notice says nothing of a case's workplace",
        "connectors/cases/notices.py",
        '        facts={"cluster_id": str(cluster_id), "reports": reports},\n',
        '        facts={"cluster_id": str(cluster_id), "reports": reports, "TH-10": "RID"},\n',
        ("tests/test_cases.py::test_a_notice_says_that_there_is_something_to_read_and_nothing_of_it",),
    ),
    Mutant(
        "R15",
        "what was taken back is written down under tokens of each path",
        "streams/agents/cases.py",
        'parts.tokens.uuid("case-change", ',
        'parts.tokens.uuid("contribution-change", ',
        ("tests/test_agents.py::test_what_was_taken_back_cannot_be_joined_across_the_paths",),
    ),
    Mutant(
        "R15",
        "analysts may read what is released, and no case",
        "schemas/clickhouse/grants.sql",
        "GRANT SELECT ON released.*, SELECT ON context.* TO chorus_analyst",
        "GRANT SELECT ON released.*, SELECT ON context.*, SELECT ON cases.* TO chorus_analyst",
        (
            "tests/test_grants.py::test_a_role_reads_and_changes_what_it_is_there_for_and_nothing_else",
            "tests/test_grants.py::test_clickhouse_denies_a_role_every_table_that_is_not_its_own",
        ),
    ),
    Mutant(
        "R15",
        "a report's names on the two paths come of two keys",
        "schemas/tokens.py",
        'return self.uuid(_purpose(f"{path}-report", epoch), str(report_uid))',
        'return self.uuid(_purpose("report", epoch), str(report_uid), *([] if path else [path]))',
        ("tests/test_pitfalls.py::test_a_case_and_a_contribution_of_one_report_share_no_name",),
    ),
    Mutant(
        "R15",
        "a case needs a consent of its own",
        "schemas/consent.py",
        'return _agreed(report, "CASE_HANDLING")',
        'return report.consent == "YES"',
        (
            "tests/test_open_and_receive.py::test_without_consent_there_is_no_case",
            "tests/test_pitfalls.py::test_a_report_takes_the_path_its_worker_agreed_to_and_no_other",
        ),
    ),
    Mutant(
        "R15",
        "an alert has no field for anything that is not released",
        "schemas/events.py",
        "    threshold: float\n    detector: str\n",
        "    threshold: float\n    workplaces: int = 0\n    detector: str\n",
        (
            "tests/test_pitfalls.py::test_an_alert_holds_released_numbers_their_place_and_what_follows_from_them_and_nothing_else",
        ),
    ),
    Mutant(
        "R16",
        "every reader gets the value that is in the journal",
        "connectors/web/board.py",
        'f"SELECT * FROM released.cells FINAL {where}"',
        'f"SELECT * REPLACE (greatest(value, 0) AS value) FROM released.cells FINAL {where}"',
        (
            "tests/test_pitfalls.py::test_the_topic_the_tables_the_api_the_page_and_the_export_show_one_value_of_each_cell",
        ),
    ),
    Mutant(
        "R16",
        "one ledger: a node refuses the journal of another",
        JOURNAL,
        "        if found_mark != mark:\n",
        "        if found_mark == units:\n",
        ("tests/test_journal_kept.py::test_another_nodes_journal_is_refused",),
    ),
    Mutant(
        "R17",
        "no view and no query draws noise",
        "connectors/web/board.py",
        'f"SELECT * FROM released.cells FINAL {where}"',
        'f"SELECT * REPLACE (value + toInt64(rand() % 9) AS value) FROM released.cells FINAL {where}"',
        ("tests/test_pitfalls.py::test_a_query_asked_a_hundred_times_has_one_answer",),
    ),
    Mutant(
        "R17",
        "`chorus query` does not name the sealed zone or the cases",
        "streams/cli.py",
        "    if _CLOSED.search(sql):\n",
        "    if not sql:\n",
        ("tests/test_pitfalls.py::test_an_analysts_query_may_not_name_the_sealed_zone_or_the_cases",),
    ),
    Mutant(
        "R18",
        "every window that is due is closed, not only the newest",
        "streams/steps/windows.py",
        "    while start + size + timedelta(seconds=offset_seconds) <= now:\n",
        "    start = max(start, window_of(now - timedelta(seconds=offset_seconds), hours) - size)\n"
        "    while start + size + timedelta(seconds=offset_seconds) <= now:\n",
        (
            "tests/test_windows.py::test_every_missed_window_is_due_oldest_first",
            "tests/test_releaser.py::test_missed_windows_are_caught_up_oldest_first_and_with_what_landed_in_each",
            "tests/test_pitfalls.py::test_a_window_that_was_open_when_the_worker_stopped_is_closed_by_the_next_one",
        ),
    ),
    Mutant(
        "R18",
        "a restarted worker goes on where the journal ends",
        JOURNAL,
        "UPDATE node SET beginning = coalesce(beginning, ?)",
        "UPDATE node SET beginning = ?",
        (
            "tests/test_pitfalls.py::test_a_window_that_was_open_when_the_worker_stopped_is_closed_by_the_next_one",
        ),
    ),
    Mutant(
        "R18",
        "what comes after its window closed counts in the next",
        "streams/releaser.py",
        "since = max(end - _HORIZON, floors[name])",
        "since = max(start, floors[name])",
        (
            "tests/test_releaser.py::test_what_was_inserted_late_counts_once_in_the_next_window",
            "tests/test_pitfalls.py::test_what_is_older_than_the_newest_closed_window_is_not_lost_but_counts_in_the_next",
        ),
    ),
    Mutant(
        "R19",
        "limits come of the policy, whatever has been reported",
        JOURNAL,
        """                self._policy,
                table,
                window_start,
                phases.__getitem__,
""",
        """                self._policy,
                __import__("dataclasses").replace(table, cells=table.cells + len(fresh) // 1000),
                window_start,
                phases.__getitem__,
""",
        (
            "tests/test_pitfalls.py::test_a_flooded_node_has_the_caps_the_noise_and_the_domain_of_an_empty_one",
        ),
    ),
    Mutant(
        "R19",
        "what released tables show is not coarsened because of reports",
        "streams/steps/uniqueness.py",
        'QUIET = ("severity", "country")\n',
        'QUIET = ("severity", "country", "sector")\n',
        ("tests/test_uniqueness.py::test_no_release_reads_what_may_be_coarsened_by_itself",),
    ),
    Mutant(
        "R20",
        "windows lie on the hours of UTC",
        "streams/steps/windows.py",
        "_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)\n",
        "_EPOCH = datetime(1970, 1, 1).astimezone()\n",
        (
            "tests/test_pitfalls.py::test_windows_own_weeks_and_released_bytes_are_those_of_utc_whatever_zone_the_process_runs_in",
        ),
    ),
)

# Of these a test can fail of when the code no longer runs at all: that proves nothing about what it guards.
_BROKEN = re.compile(
    r"^(\w+\.)*(ImportError|ModuleNotFoundError|SyntaxError|IndentationError|NameError|UnboundLocalError"
    r"|AttributeError|TypeError|FileNotFoundError)\b"
)


def of(pitfalls: Iterable[str]) -> list[Mutant]:
    """Return the mutants of some pitfalls, or all."""
    wanted = set(pitfalls) or set(PITFALLS)
    return [mutant for mutant in MUTANTS if mutant.pitfall in wanted]


def problem(mutant: Mutant, root: Path = ROOT) -> str:
    """Say why a mutant cannot be applied; empty where it can."""
    text = (root / mutant.file).read_text(encoding="utf-8")
    found = text.count(mutant.old)
    if found != 1:
        return f"{mutant.file}: the text to replace occurs {found} times"
    if mutant.file.endswith(".py"):
        ast.parse(text.replace(mutant.old, mutant.new))
    return ""


def copied(target: Path) -> Path:
    """Copy the work tree, tracked and new files, and return where to."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(path.read_bytes())
    return target


def environment(tree: Path) -> dict[str, str]:
    """Return an environment in which the copy is imported, and not what is installed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CHORUS_", "PYTEST_"))}
    return kept | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def imported_from(tree: Path) -> bool:
    """Tell whether Python finds all our packages in the copy."""
    code = "import connectors, schemas, streams; print(*(m.__file__ for m in (connectors, schemas, streams)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env=environment(tree),
        capture_output=True,
        text=True,
        check=True,
    )
    return all(Path(name).is_relative_to(tree) for name in done.stdout.split())


def outcomes(tree: Path, tests: Iterable[str]) -> dict[str, str]:
    """Run tests in the copy; return per test "" where it passed, and what it failed with."""
    report = tree / "report.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", f"--junitxml={report}", *dict.fromkeys(tests)],
        cwd=tree, env=environment(tree), capture_output=True, check=False,
    )  # fmt: skip
    found: dict[str, str] = {}
    if not report.is_file():
        return found
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        found[name] = (bad[0].get("message") or "failed").splitlines()[0] if bad else ""
        if bad and bad[0].tag == "error":
            found[name] = f"ImportError: {found[name]}"
    return found


def _cases(found: dict[str, str], test: str) -> list[str]:
    return [why for name, why in found.items() if name == test or name.startswith(f"{test}[")]


def verdict(mutant: Mutant, found: dict[str, str]) -> str:
    """Say why a mutant is not killed as it should be; empty where each of its tests fails for a good reason."""
    for test in mutant.tests:
        cases = _cases(found, test)
        reasons = [why for why in cases if why]
        name = test.split("::")[1]
        if not cases:
            return f"{name} was not run"
        if not reasons:
            return f"{name} does not notice"
        if all(_BROKEN.match(why) for why in reasons):
            return f"{name} breaks instead of failing: {reasons[0][:80]}"
    return ""


def run(tree: Path, mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, str, dict[str, str], float]]:
    """Apply one mutant after the other to the copy and run its tests.

    Yields each with what is wrong, the outcomes, and seconds.
    """
    for mutant in mutants:
        began, found = time.monotonic(), {}
        why = problem(mutant, tree)
        if not why:
            path = tree / mutant.file
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
            try:
                found = outcomes(tree, mutant.tests)
                why = verdict(mutant, found)
            finally:
                path.write_text(text, encoding="utf-8")
        yield mutant, why, found, time.monotonic() - began


def baseline(tree: Path, mutants: Iterable[Mutant]) -> list[str]:
    """Run the tests of mutants without a mutant; return what is wrong."""
    if not imported_from(tree):
        return ["the installed packages are imported, and not the copy"]
    tests = [test for mutant in mutants for test in mutant.tests]
    found = outcomes(tree, tests)
    return [f"{name}: {why}" for name, why in found.items() if why] + [
        f"{test} was not run" for test in dict.fromkeys(tests) if not _cases(found, test)
    ]


def guards(root: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """Read which tests are marked as guards: per pitfall, per file, the names of the tests."""
    found: dict[str, dict[str, list[str]]] = {pitfall: {} for pitfall in PITFALLS}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.guards":
                    for pitfall in (ast.literal_eval(argument) for argument in mark.args):
                        name = str(path.relative_to(root))
                        found.setdefault(pitfall, {}).setdefault(name, []).append(node.name)
    return found


def page() -> str:
    """Return docs/privacy-tests.md."""
    marked = guards()
    lines = [
        "# Which test guards which privacy pitfall",
        "",
        "Written by `python tests/mutants.py --write`; a test keeps it so. The tests are marked with",
        '`@pytest.mark.guards("R1")`. For each pitfall there is at least one *mutant*: a change of the code that takes the',
        "fix away. `python tests/mutants.py` puts each in and sees to it that the tests named with it fail.",
        "",
        "| | pitfall | mutant: this is taken away | file | tests that must fail |",
        "|---|---|---|---|---|",
    ]
    for pitfall, title in PITFALLS.items():
        for number, mutant in enumerate(of([pitfall])):
            tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in mutant.tests)
            first = (pitfall, title) if number == 0 else ("", "")
            lines.append(f"| {first[0]} | {first[1]} | {mutant.fix} | `{mutant.file}` | {tests} |")
    lines += ["", "## All guards", ""]
    for pitfall, title in PITFALLS.items():
        lines += [f"**{pitfall}** {title}", ""]
        for file, names in sorted(marked[pitfall].items()):
            lines += [f"- `{file}`: " + ", ".join(f"`{name}`" for name in sorted(names))]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


@click.command()
@click.argument("pitfalls", nargs=-1, type=click.Choice(list(PITFALLS)))
@click.option("--why", "say_why", is_flag=True, help="Say what each test failed with.")
@click.option("--write", is_flag=True, help="Write docs/privacy-tests.md, and run nothing.")
def main(pitfalls: tuple[str, ...], say_why: bool, write: bool) -> None:
    """Run the mutants, or those of some pitfalls, and print a table."""
    if write:
        (ROOT / PAGE).write_text(page(), encoding="utf-8")
        return
    mutants = of(pitfalls)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copied(Path(folder).resolve())
        if wrong := baseline(tree, mutants):
            print("without a mutant:", *wrong, sep="\n  ")
            sys.exit(1)
        alive = 0
        for mutant, why, found, seconds in run(tree, mutants):
            alive += bool(why)
            print(
                f"{mutant.pitfall:4} {'ALIVE ' if why else 'killed'} {seconds:5.1f} s  {mutant.fix}",
                flush=True,
            )
            if why:
                print(f"     {why}", flush=True)
            for name, reason in found.items() if say_why else ():
                print(f"     {name.split('::')[1][:70]}: {reason[:120] or 'passed'}", flush=True)
    print(f"{len(mutants)} mutants, {alive} alive, {time.monotonic() - began:.0f} s")
    sys.exit(1 if alive else 0)


if __name__ == "__main__":
    main()
