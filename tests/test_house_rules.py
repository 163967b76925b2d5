"""The rules of the house, kept by reading the code itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from schemas.events import DeidentifiedReport
from streams import cli

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "connectors", "streams")
OURS = re.compile(rf"^({'|'.join(PACKAGES)})(\.|$)")
TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported(tree: ast.AST) -> set[str]:
    """Return the full names a module imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where things come from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imports_under(folder: str) -> set[str]:
    found = [imported(tree) for name, tree in TREES.items() if name.startswith(folder)]
    assert found, f"nothing under {folder}"
    return set.union(*found)


def ours(names: set[str]) -> set[str]:
    return {name for name in names if OURS.match(name)}


def outside(names: set[str], *allowed: str) -> set[str]:
    return {n for n in ours(names) if not n.startswith(tuple(f"{a}." for a in allowed)) and n not in allowed}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("schemas/", ["schemas"]),
        ("connectors/", ["schemas", "connectors"]),
        ("streams/steps/", ["schemas", "streams.steps"]),
        ("streams/recognizers/", ["schemas", "streams.steps", "streams.recognizers"]),
        ("streams/agents/", ["schemas", "streams.steps", "streams.agents"]),
        # What a source de-identifies with knows the door and the steps, and nothing of Kafka or ClickHouse.
        ("streams/at_source.py", ["schemas", "connectors.intake", "streams.steps"]),
        ("streams/pool.py", ["streams.logs", "streams.steps"]),
        ("streams/reading.py", ["streams.lists", "streams.recognizers", "streams.steps"]),
    ],
)
def test_imports_point_one_way(folder, allowed):
    assert not outside(imports_under(folder), *allowed)


@pytest.mark.guards("R11", "R15")
@pytest.mark.parametrize(
    ("file", "allowed"),
    [
        ("path", ["schemas", "streams.agents.common", "streams.steps"]),
        (
            "cases",
            ["schemas", "streams.agents.common", "streams.steps.receive.CaseGone", "streams.steps.cluster"],
        ),
        ("watch", ["schemas.topics", "schemas.events", "streams.agents.common"]),
    ],
)
def test_the_three_kinds_of_agents_know_nothing_of_each_other(file, allowed):
    assert not outside(imports_under(f"streams/agents/{file}.py"), *allowed)


# What counts and releases, and what tells of released numbers; and what handles cases.
COUNTS = (
    *(
        f"streams.steps.{n}"
        for n in ("admit", "count", "noise", "draw", "policy", "publish", "windows", "explain")
    ),
    *(
        f"streams.steps.{n}"
        for n in ("detect", "corroborate", "episodes", "alert", "hierarchy", "uniqueness")
    ),
    *(
        f"streams.{n}"
        for n in ("journal", "ledger", "releaser", "landed", "watch", "uniqueness", "restore", "rotate")
    ),
    *(
        "streams.agents.path",
        "streams.agents.watch",
        "connectors.released",
        "connectors.desk",
        "connectors.web.board",
    ),
)
CASES = (
    *("connectors.cases", "connectors.web.cases", "connectors.web.cases_pages"),
    *("streams.agents.cases", "streams.steps.cluster", "streams.casework"),
)
PUT_TOGETHER = {"streams/app.py", "streams/agents/__init__.py"}  # which know every part


def under(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


@pytest.mark.guards("R15")
def test_the_case_path_and_the_counts_know_nothing_of_each_other():
    seen = set()
    for file, tree in TREES.items():
        module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if under(module, CASES):
            seen.add("cases")
            assert not {n for n in imported(tree) if under(n, COUNTS)}, file
        if under(module, COUNTS) and file not in PUT_TOGETHER:
            seen.add("counts")
            assert not {n for n in imported(tree) if under(n, CASES)}, file
    assert seen == {"cases", "counts"}


FORBIDDEN_IN_STEPS = {
    "faust",
    "mode",
    "confluent_kafka",
    "aiokafka",
    "clickhouse_connect",
    "chdb",
    "sqlite3",
    "os",
    "sys",
    "time",
    "random",
    "secrets",
    "uuid.uuid1",
    "uuid.uuid4",
    "numpy.random",
    "logging",
    "asyncio",
    "socket",
    "subprocess",
    "pathlib",
}


def test_steps_know_nothing_of_the_world():
    found = imports_under("streams/steps/")
    assert not {n for n in found for f in FORBIDDEN_IN_STEPS if n == f or n.startswith(f"{f}.")}


def attributes(tree: ast.AST) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.guards("R9")
def test_steps_read_no_clock_and_draw_no_other_randomness():
    for name, tree in TREES.items():
        if name.startswith("streams/steps/"):
            used = attributes(tree)
            assert not {a for a in used if re.match(r"(np|numpy)\.random\b", a)}, name
            assert not {a for a in used if re.search(r"\b(datetime|date)\.(now|utcnow|today)$", a)}, name


@pytest.mark.guards("R9")
def test_randomness_comes_from_opendp_in_the_release_and_from_nothing_else_in_streams():
    users = {
        name
        for name, tree in TREES.items()
        if name.startswith("streams/")
        and any(re.match(r"(random|secrets|numpy\.random)(\.|$)", n) for n in imported(tree))
    }
    assert users <= {
        "streams/simulate.py",
        "streams/demo.py",
        "streams/app.py",
        "streams/audit/attacker.py",
        "streams/audit/battery.py",
        "streams/audit/full.py",
        "streams/audit/scenarios.py",
        "streams/bench/deidentify.py",
        "streams/bench/register.py",
        "streams/bench/release.py",
        "streams/recognizers/context/refill.py",
        "streams/recognizers/context/train.py",
    }  # the first two are synthetic, the others measure and train
    # The composition root hands the agents a way to shuffle messages, which no seed can foretell.
    assert {n for n in imported(TREES["streams/app.py"]) if n.startswith("random")} == {"random.SystemRandom"}
    assert [n for n, tree in TREES.items() if "opendp.prelude" in imported(tree)] == ["streams/steps/draw.py"]


def test_nothing_prints():
    for name, tree in TREES.items():
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & {"print", "pprint", "pprint.pprint", "traceback.print_exc"}, name


@pytest.mark.guards("R18")
def test_agents_hold_no_table():
    agents = [tree for name, tree in TREES.items() if name.startswith("streams/agents/")]
    assert len(agents) > 3
    assert not {a for tree in agents for a in attributes(tree) if a.endswith((".Table", ".GlobalTable"))}


def test_nothing_personal_is_a_field_of_a_contribution():
    assert not {"narratives", "text", "workplace", "person", "name"} & set(DeidentifiedReport.__slots__)


@pytest.mark.parametrize(
    "command",
    [
        ["compileall", "-q", *PACKAGES],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
    ],
    ids=["compileall", "ruff check", "ruff format", "mypy"],
)
def test_the_checks_pass(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def commands(group: click.Group, *path: str):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), list(commands(cli.main)), ids=lambda p: " ".join(p) if isinstance(p, tuple) else ""
)
def test_every_command_has_help_and_an_example_of_itself(path, command):
    with click.Context(command, info_name=path[-1]) as context:
        text = command.get_help(context)
    assert command.help and "Example:" in text
    assert " ".join(("chorus", *path)) in text.split("Example:")[1]
    assert all(
        p.help for p in command.params if isinstance(p, click.Option) and p.name in ("source", "as_json")
    )


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


# Put together here, so that this file does not hold what it looks for.
REGISTRIES = (
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "repo1.maven" + ".org",
    "repo.maven" + ".apache",
)
REGISTRIES += ("registry.npmjs" + ".org", "proxy.golang" + ".org")
MACHINE = re.compile(r"(?<![\w.:/-])/(work|home/\w+|root|Users/\w+|tmp/w)/")


def test_no_tracked_file_names_a_package_registry_or_a_path_of_somebodys_machine():
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        assert not [r for r in REGISTRIES if r in text], name
        if path != Path(__file__):
            assert not MACHINE.search(text), f"{name}: {MACHINE.search(text)}"


def test_sql_files_are_numbered_from_one_without_gaps():
    names = sorted(
        path.name for path in (ROOT / "schemas/clickhouse").glob("*.sql") if path.name != "grants.sql"
    )
    assert all(re.fullmatch(r"\d{4}_[a-z_]+\.sql", name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
