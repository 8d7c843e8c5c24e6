"""What ships so that everything runs without a network: a small speech model and sample calls, all synthetic."""
