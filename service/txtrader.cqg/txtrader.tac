"""The gateway to CQG, as `run` beside this starts it."""

from txtrader.service import make_application

application = make_application("cqg")
