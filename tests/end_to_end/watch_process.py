"""``chorus watch``, or another command, with the rights of one role, which chDB's engine keeps like a server's.

Usage: watch_process.py FOLDER_OF_CHDB CONFIG_FILE [COMMAND...]. The environment is that of the command.
"""

import sys
from functools import partial

import clickhouse_connect

from streams.cli import main

if __name__ == "__main__":
    folder, config, *command = sys.argv[1:]
    clickhouse_connect.get_client = partial(
        clickhouse_connect.get_client, chdb_options={"config-file": config}
    )
    main(command or ["watch"])
