"""Bridges to what other libraries' users have; nothing here is imported unless it is asked for."""
