"""The word lists, and the script that makes the ones that are not written by hand (NOTICE.md says which)."""
