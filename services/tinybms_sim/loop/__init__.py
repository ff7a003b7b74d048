"""Closed loop of pack, BMS, chargers and charge control, faster than real time.

Everything is a function of scenario, seed and step width: one seed gives one battery, one sky and
one load, and two runs of it give the same figures. Currents are positive for charge.
"""
