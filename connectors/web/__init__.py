"""The intake API and the alert page."""
