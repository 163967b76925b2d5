"""Pulling: systems that are asked for their reports, and what a sweep finds that no webhook told."""
