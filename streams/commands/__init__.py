"""Groups of commands, one file each; `streams.cli` puts them together."""
