"""The gateway to a FIX broker, as `run` beside this starts it."""

from txtrader.service import make_application

application = make_application("fix")
