"""Owner of the MQTT session: publishes values, alarms and status."""
