"""THE PATH: what happens to a report between the door and the alert."""
