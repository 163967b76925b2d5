"""THE DOORS: the only code that talks to other people's systems."""
