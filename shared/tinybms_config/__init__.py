"""Typed configuration: parse, validate and redact, without reading files."""
