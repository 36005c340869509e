"""What measures speed, memory and accuracy; prints tables, never asserts times."""
