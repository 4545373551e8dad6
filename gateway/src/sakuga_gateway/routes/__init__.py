"""What the gateway answers: one module an interface."""
