"""OUCH 4.2 and 5.0, Nasdaq's order entry: the messages that SoupBinTCP carries."""
