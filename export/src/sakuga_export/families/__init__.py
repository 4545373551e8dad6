"""How each family of networks is loaded, and wrapped in the arithmetic that Triton serves."""
