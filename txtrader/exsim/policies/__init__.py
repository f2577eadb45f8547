"""Fault policies: ordered rules by which the simulated venue misbehaves, scripted and repeatable."""

from __future__ import annotations

from txtrader.exsim.policies.policy import Policy
from txtrader.exsim.policies.ready import ReadyPolicy, make_policy, policy_class, register_policy

__all__ = ["Policy", "ReadyPolicy", "make_policy", "policy_class", "register_policy"]
