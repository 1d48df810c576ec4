"""Options of training that are values with parameters of their own."""
