"""Bus broker: passes messages on and keeps the last value of each cached topic."""
