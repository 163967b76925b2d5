"""ClickHouse migrations: numbered, forward only."""
