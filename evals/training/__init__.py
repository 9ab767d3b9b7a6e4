"""What the product has learned beforehand is made here, from training sides alone. Nothing here runs in the product."""
