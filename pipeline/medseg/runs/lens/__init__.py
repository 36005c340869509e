"""A look into the network of a plan."""
