"""Benchmarks that a user can run: ``chorus bench``. Nothing here is part of the path of a report."""
