"""Owner of the CAN channel: sends the battery frames to a Victron GX."""
