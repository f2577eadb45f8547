"""A simulated TWS alone, where mode tws dials: `txtraderd tac/exsim.tac`, then `TXTRADER_MODE=tws make run` beside it."""

from txtrader.service.exsim import make_application

application = make_application()
