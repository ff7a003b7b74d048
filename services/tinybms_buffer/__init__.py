"""Owner of the SQLite file: keeps critical records while MQTT is away."""
