"""FIX 4.2, 4.4 and FIXT 1.1 with 5.0SP2: framing, dictionaries, validation, and both ends of a session, without I/O."""
