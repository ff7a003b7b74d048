"""Owner of the serial port: polls the TinyBMS and publishes LIVE_DATA."""
