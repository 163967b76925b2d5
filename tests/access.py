"""What a role may do, kept by ClickHouse's own engine in process: chDB, opened with a file of users."""

import re
import subprocess
import sys

from connectors.grants import grants

_MIGRATED = """
import sys
from pathlib import Path
from connectors.clickhouse import ClickHouse, migrate
db = ClickHouse(None, Path(sys.argv[1]))
migrate(db)
db.close()
"""
_USERS = """<clickhouse><profiles><default>{profile}</default></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants>{grants}</grants></default></users></clickhouse>"""


def granted(role):
    """What a role may do, as (privilege, object), as its one statement says."""
    (statement,) = [s for s in grants() if re.search(rf"^GRANT .* TO {role} WITH REPLACE OPTION$", s, re.S)]
    listed = re.sub(r"\s+", " ", statement).removeprefix("GRANT ").split(" TO ")[0]
    return [tuple(part.split(" ON ")) for part in listed.split(", ")]


def migrated_chdb(folder):
    """Make a database with every table, in a process of its own."""
    subprocess.run([sys.executable, "-c", _MIGRATED, str(folder)], check=True, timeout=120)
    return folder


def engine_as(role, folder):
    """Write a configuration whose one user may do what a role may; returns its path."""
    rights = "".join(f"<query>GRANT {privilege} ON {on}</query>" for privilege, on in granted(role))
    read_only = [s for s in grants() if s.startswith(f"ALTER ROLE {role} ")]
    profile = "<readonly>1</readonly>" if read_only else ""
    (folder / "users.xml").write_text(_USERS.format(profile=profile, grants=rights), encoding="utf-8")
    config = folder / "config.xml"
    config.write_text(
        f"<clickhouse><users_config>{folder / 'users.xml'}</users_config></clickhouse>", encoding="utf-8"
    )
    return config
