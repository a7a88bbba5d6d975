"""What checks the suite from outside; it works in a checkout and is not part of the product."""
