"""Access control: the roles, read from their file and kept by ClickHouse's own engine.

chDB has no users to give roles to. But its engine, which is the server's, can be opened with a file of users that
gives its one user exactly what a role is granted: then what it denies, a server denies.
"""

import json
import os
import re
import subprocess
import sys

import pytest
from access import engine_as, granted, migrated_chdb

from connectors.clickhouse import ClickHouse, migrate, migrations
from connectors.grants import ROLES, grants

SERVER = "CHORUS_TEST_CLICKHOUSE_URL"
URL = os.environ.get(SERVER)  # read before the environment is cleaned
MAY_READ = {
    "chorus_release": {"sealed", "released"},
    "chorus_watch": {"released"},
    "chorus_cases_keeper": {"cases"},
    "chorus_cases": {"cases"},
    "chorus_analyst": {"released", "context"},
}
MAY_CHANGE = {
    "chorus_release": {"sealed", "released"},
    "chorus_watch": {"released"},
    "chorus_cases_keeper": {"cases"},
    "chorus_cases": set(),
    "chorus_analyst": set(),
}


def made_by_migrations():
    """Every table and view that the migrations make, and the databases they lie in."""
    made, databases = set(), set()
    for _, _, sql in migrations():
        text = re.sub(r"^--.*$", "", sql, flags=re.MULTILINE)
        databases |= set(re.findall(r"CREATE DATABASE (?:IF NOT EXISTS )?(\w+)", text))
        made |= set(
            re.findall(
                r"CREATE (?:TABLE|VIEW|MATERIALIZED VIEW|DICTIONARY) (?:IF NOT EXISTS )?([\w.]+)", text
            )
        )
    return databases, made


def of(role, *privileges):
    return {on.removesuffix(".*") for privilege, on in granted(role) if privilege in privileges}


@pytest.mark.guards("R15")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_and_changes_what_it_is_there_for_and_nothing_else(role):
    assert of(role, "SELECT") == MAY_READ[role]
    assert of(role, "INSERT", "ALTER DELETE", "ALTER UPDATE") == MAY_CHANGE[role]
    assert {privilege for privilege, _ in granted(role)} <= {
        "SELECT",
        "INSERT",
        "ALTER DELETE",
        "ALTER UPDATE",
    }
    # Whole databases, so that a table of tomorrow is covered; never everything.
    assert all(re.fullmatch(r"(sealed|cases|released|context)\.\*", on) for _, on in granted(role))


@pytest.mark.guards("R15")
def test_no_role_sees_both_the_sealed_zone_and_the_cases():
    assert (
        set(ROLES)
        == set(MAY_READ)
        == set(re.findall(r"CREATE ROLE IF NOT EXISTS (\w+)", "\n".join(grants())))
    )
    assert not [role for role in ROLES if {"sealed", "cases"} <= of(role, "SELECT", "INSERT", "ALTER DELETE")]
    assert not {"sealed", "cases", "system", "default"} & of("chorus_analyst", "SELECT")


def test_every_table_and_view_of_the_migrations_is_for_the_roles_it_is_meant_for(clickhouse):
    databases, made = made_by_migrations()
    assert databases == {"sealed", "cases", "released", "context"}
    assert {name.split(".")[0] for name in made} == databases and len(made) >= 10
    there = clickhouse.query(
        "SELECT database || '.' || name FROM system.tables WHERE database IN ('sealed', 'cases', 'released', 'context')"
    )
    assert made == {name for (name,) in there}
    readers = {name: {r for r in ROLES if name.split(".")[0] in of(r, "SELECT")} for name in made}
    for name, roles in readers.items():
        assert (
            roles
            == {
                "sealed": {"chorus_release"},
                "cases": {"chorus_cases_keeper", "chorus_cases"},
                "released": {"chorus_release", "chorus_watch", "chorus_analyst"},
                "context": {"chorus_analyst"},
            }[name.split(".")[0]]
        )


@pytest.mark.guards("R15")
def test_who_only_reads_has_read_only_settings():
    settings = {s.split()[2]: s for s in grants() if s.startswith("ALTER ROLE")}
    assert set(settings) == {role for role in ROLES if not MAY_CHANGE[role]}
    assert all(s.endswith("SETTINGS readonly = 1") for s in settings.values())


def test_every_statement_is_sql_that_clickhouse_understands_and_may_be_run_again(clickhouse):
    for statement in grants():
        ((formatted,),) = clickhouse.query("SELECT formatQuery({statement:String})", statement=statement)
        assert formatted.split()[0] == statement.split()[0]
        assert re.match(
            r"CREATE ROLE IF NOT EXISTS|ALTER ROLE|GRANT .* WITH REPLACE OPTION$", statement, re.S
        )


_AS_ROLE = """
import json, sys
import chdb
db, answers = chdb.connect(sys.argv[1]), {}
for sql in sys.argv[2:]:
    try:
        db.query(sql)
        answers[sql] = "ok"
    except Exception as error:
        answers[sql] = str(error)[-400:]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    return migrated_chdb(tmp_path_factory.mktemp("access") / "chdb")


@pytest.fixture
def ask(migrated, tmp_path):
    """Ask the engine as a role: {statement: "ok" or its refusal}."""

    def act(role, *statements):
        target = f"{migrated}?config-file={engine_as(role, tmp_path)}"
        done = subprocess.run(
            [sys.executable, "-c", _AS_ROLE, target, *statements], capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return act


def plain(name):
    """A query of a table or view; views that ask for parameters get some."""
    asked = {
        "released.sums": "(until = '2026-11-20', days = 7)",
        "released.finest": "(indicator = 'RID', sector = 'F', region = 'TH-10', until = '2026-11-20', days = 1)",
    }
    return f"SELECT count() FROM {name}{asked.get(name, '')}"


DETOURS = (
    "SELECT count() FROM merge('sealed', 'contributions')",
    "SELECT count() FROM mergeTreeIndex('sealed', 'contributions')",
    "SELECT * FROM file('/etc/hostname', 'RawBLOB')",
    "SELECT * FROM url('http://127.0.0.1:1', 'RawBLOB')",
    "SELECT * FROM remote('127.0.0.1', 'sealed', 'contributions')",
    "DESCRIBE TABLE sealed.contributions",
    "SHOW CREATE TABLE cases.reports",
    "SELECT * FROM default.migrations",
    "SELECT * FROM system.users",
    "CREATE VIEW released.mine AS SELECT * FROM sealed.contributions",
    "SET readonly = 0",
)


@pytest.mark.guards("R15")
@pytest.mark.parametrize("role", ROLES)
def test_clickhouse_denies_a_role_every_table_that_is_not_its_own(role, ask):
    _, made = made_by_migrations()
    answers = ask(role, *(plain(name) for name in sorted(made)))
    for name in made:
        answer = answers[plain(name)]
        if name.split(".")[0] in MAY_READ[role]:
            assert answer == "ok", name
        else:
            assert "ACCESS_DENIED" in answer, name


@pytest.mark.guards("R15")
def test_an_analyst_finds_no_detour_and_changes_nothing(ask):
    changes = [
        f"{act} released.cells" for act in ("TRUNCATE TABLE", "DROP TABLE", "ALTER TABLE", "INSERT INTO")
    ]
    changes = [c + {"A": " DELETE WHERE 1", "I": " (value) VALUES (1)"}.get(c[0], "") for c in changes]
    for statement, answer in ask("chorus_analyst", *DETOURS, *changes).items():
        assert re.search(r"ACCESS_DENIED|READONLY|no tables satisfied|UNKNOWN_TABLE", answer), (
            statement,
            answer,
        )


@pytest.mark.guards("R15")
def test_an_analyst_sees_of_system_tables_no_word_of_the_sealed_zone_or_the_cases(ask):
    hidden = (
        f"SELECT throwIf(count() > 0) FROM system.{table} WHERE {column} IN ('sealed', 'cases')"
        for table, column in (
            ("tables", "database"),
            ("columns", "database"),
            ("parts", "database"),
            ("databases", "name"),
        )
    )
    assert set(ask("chorus_analyst", *hidden).values()) == {"ok"}


@pytest.mark.server
@pytest.mark.guards("R15")
def test_on_a_server_an_analyst_is_denied_the_sealed_zone_and_the_cases(tmp_path):
    """Needs a server to which this may add roles and a user; everything else above runs without one."""
    assert URL, f"set {SERVER} to a ClickHouse server on which roles may be made"
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import DatabaseError

    admin = ClickHouse(URL, tmp_path)
    migrate(admin)
    for _ in range(2):
        for statement in grants():
            admin.command(statement)
    admin.command(
        "CREATE USER OR REPLACE chorus_test_analyst IDENTIFIED BY 'chorus-test' DEFAULT ROLE chorus_analyst"
    )
    admin.command("GRANT chorus_analyst TO chorus_test_analyst")
    try:
        address = re.sub(r"://([^@/]*@)?", "://chorus_test_analyst:chorus-test@", URL, count=1)
        analyst = clickhouse_connect.get_client(dsn=address)
        assert analyst.query("SELECT count() FROM released.cells").result_rows
        for table in ("sealed.contributions", "sealed.dead_letters", "cases.reports"):
            with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
                analyst.query(f"SELECT count() FROM {table}")
        with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY"):
            analyst.command("INSERT INTO released.cells (value) VALUES (1)")
    finally:
        admin.command("DROP USER IF EXISTS chorus_test_analyst")
