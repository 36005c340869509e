"""What people start, as functions that take typed settings and return results; nothing here prints or exits."""
