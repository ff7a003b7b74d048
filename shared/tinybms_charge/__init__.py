"""Charge control as pure functions: limits with reasons, ageing, alarm rules."""
