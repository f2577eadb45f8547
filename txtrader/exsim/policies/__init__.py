"""Fault policies: ordered rules by which the simulated venue misbehaves, scripted and repeatable."""

from __future__ import annotations
