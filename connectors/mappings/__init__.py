"""Mapping files: how one source's form becomes a report. The file name is the name."""
