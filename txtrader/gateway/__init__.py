"""THE API: commands, order truth, event stream, journal."""
