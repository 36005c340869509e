"""The network of a plan, seen from inside."""
