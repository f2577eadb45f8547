"""CQG WebAPI's messages and our records, both directions side by side."""
