"""The channels by which people are told, one file each: the file name is the name."""
