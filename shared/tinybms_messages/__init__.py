"""Every message of the gateway's bus: its bodies, its topic table and its codec."""
