"""Victron GX facts as tables and pure functions: CAN signals, GX paths and registers."""
