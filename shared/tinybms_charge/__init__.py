"""Charge control: CVL, CCL, DCL and alarms from one measurement, and how they age."""
