"""Command line of the gateway: status, configuration check, start."""
