"""The gateway to TWS or IB Gateway, as `run` beside this starts it."""

from txtrader.service import make_application

application = make_application("tws")
