"""THE WORDS: schemas, code lists, topics, and the framing that carries them. Imports nothing of ours."""
