"""Code lists of the open vocabularies, with their sources in the files."""
