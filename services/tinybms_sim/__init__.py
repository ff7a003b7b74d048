"""Simulators: a TinyBMS on a pty, and a Victron GX behind a USB-CAN adapter on a pty.

The simulated BMS has its own framing and register image, written from the protocol document and not
from the gateway's driver, so that a mistake of the driver can't hide in both.
"""
