"""OUCH clients of the venue: order entry in 4.2 or 5.0, over SoupBinTCP."""

from txtrader.exsim.endpoints.ouch.endpoint import OuchEndpoint
from txtrader.exsim.endpoints.ouch.options import OuchOptions, OuchUser

__all__ = ["OuchEndpoint", "OuchOptions", "OuchUser"]
