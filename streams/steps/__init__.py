"""Pure steps, one verb a file: no clock, no randomness but OpenDP's, no I/O."""
