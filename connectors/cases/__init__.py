"""The case path: what holders may read, who read it, and when two of them may read more."""
