"""Telling people: from notices to messages on their channels, each durable, routed, and told once."""
