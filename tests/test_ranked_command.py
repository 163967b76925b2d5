"""``chorus release ranked``: what stands out below an alert, from the releases in the node's own database."""

import json
import subprocess
import sys

from released_days import JUMP

from connectors.released import indicators

SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from click.testing import CliRunner
from connectors.clickhouse import ClickHouse, migrate
from released_days import REGIONS, SECTORS, releases
from streams.agents.watch import cell_rows
from streams.cli import main
db = ClickHouse(None, Path(os.environ["CHORUS_HOME"]) / "chdb")
migrate(db)
for table, seed in ((SECTORS, 0), (REGIONS, 1)):
    rows = [row for release in releases(table, seed=seed) for row in cell_rows(release)]
    db.insert("released.cells", rows, table.name)
db.close()
for words in (["--json"], ["--most", "1"]):
    done = CliRunner().invoke(main, ["release", "ranked", *words])
    print(json.dumps([done.exit_code, done.output]))
"""


def test_the_strongest_cell_without_an_alert_is_named_first(tmp_path):
    environment = {"CHORUS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(sys.path)], env=environment, capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    as_json, in_words = (json.loads(line) for line in done.stdout.splitlines())
    assert as_json[0] == in_words[0] == 0
    found = json.loads(as_json[1])
    # The planted rise is far above the threshold: there is an alert for it, so it is not in this list.
    assert found and not {(one["indicator"], one["sector"], one["region"]) for one in found} & set(
        JUMP.values()
    )
    evidence = [one["statistic"] for one in found]
    assert evidence == sorted(evidence, reverse=True) and evidence[-1] >= 30
    (line,) = in_words[1].splitlines()
    assert f"{found[0]['value']}, usual" in line and indicators()[found[0]["indicator"]] in line
