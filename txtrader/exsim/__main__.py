"""`python -m txtrader.exsim` is the command `exsim`: a way in, not a part of this room; the command stands above it."""

from txtrader.cli import exsim

exsim()
