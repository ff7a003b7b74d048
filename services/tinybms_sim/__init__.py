"""Simulated TinyBMS and virtual GX, each on a pseudo terminal."""
