"""One way in, one file."""
