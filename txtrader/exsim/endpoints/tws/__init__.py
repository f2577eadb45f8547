"""A simulated TWS on a venue: unmodified API clients connect to it, and tests command its faults."""

from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint
from txtrader.exsim.endpoints.tws.options import TwsOptions

__all__ = ["TwsEndpoint", "TwsOptions"]
