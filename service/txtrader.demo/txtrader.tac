"""The gateway to the simulated market inside, as `run` beside this starts it."""

from txtrader.service import make_application

application = make_application("demo")
