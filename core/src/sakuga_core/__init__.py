"""What every room agrees on: protocol, actions, options, networks, configuration, errors."""
