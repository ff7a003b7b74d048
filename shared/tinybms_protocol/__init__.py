"""TinyBMS UART protocol as pure functions: frames, commands, register map, decoding."""
