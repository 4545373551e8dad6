"""From published weights to the networks of the model repository."""
