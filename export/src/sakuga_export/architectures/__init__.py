"""The networks' own code, in torch, under the parameter names of the published checkpoints."""
