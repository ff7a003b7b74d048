"""What every process shares: service runner, bus client, clock, back-off, logging, lock."""
