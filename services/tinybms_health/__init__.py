"""Watches every process and serves their state over HTTP."""
