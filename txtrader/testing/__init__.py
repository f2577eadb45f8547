"""Shipped doubles, contracts and fault tools."""
